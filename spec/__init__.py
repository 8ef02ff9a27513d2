"""The contracts: configurations, numbers, stored forms, golden and cycle models, image file.

Everything here is plain Python and NumPy. Every other folder imports from here; this one imports
from none of ours.
"""
