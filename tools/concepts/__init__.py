"""The tables of docs/concepts.md: what the core answers when it is asked, not what somebody remembers of it."""
