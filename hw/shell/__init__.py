"""The shell around the engines: registers, buses, links."""
