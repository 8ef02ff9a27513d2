"""Software: compression of networks, their compiler, and the host."""
