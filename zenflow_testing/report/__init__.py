"""A flow's life as one HTML file: `page.page(simulation)`."""
