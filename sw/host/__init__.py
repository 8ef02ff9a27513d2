"""From an image to a running device: the Device protocol, the bus driver, reports."""
