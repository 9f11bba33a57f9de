"""Glimpses as pictures: one image of paths, and the report page in `html`."""
