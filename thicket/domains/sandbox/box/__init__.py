"""What runs in the box, which shows Python this folder and nothing else of thicket: so it imports nothing else of it.

Every program pays for what is imported here, so `typing`, a tenth of it all, is left to those who check types.
"""
