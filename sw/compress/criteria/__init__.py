"""How much each weight matters."""
