"""The documentation as a site: `python -m tools.site` builds it into `site/`, and fails on what is wrong with it.

The pages stay what they are, files to read in the repository; `staging` makes of them what the generator reads, and
`checks` reads what it has written.
"""
