"""Inner loops that numba compiles for the CPU: the one place that knows numba.

A kernel reads and writes numpy arrays, mostly views of a model's parameters, runs on one thread without Python's
lock, and has a twin in torch that the tests hold it to. Import a module of this package inside the function that
runs it, so that nothing else waits for numba.
"""
