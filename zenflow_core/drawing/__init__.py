"""A plan as a drawing: where each step stands (`layout`), and the same as SVG (`svg`)."""
