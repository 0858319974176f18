"""The composition root: settings become ports, ports and typed inputs become an image. Nothing else opens a port."""
