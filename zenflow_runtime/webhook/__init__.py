"""The optional admission webhook: what the CRD's rules cannot say (cycles, unknown names, `when`) is said at once.

Everything works without it: a flow that validation refuses then gets in, and is
Failed with all its problems in its status. Off unless the operator is told
otherwise. It reads nothing but the request and asks the cluster nothing.
"""
