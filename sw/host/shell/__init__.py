"""The driver of a shell: the ports of its arrays, over whatever reaches its buses."""
