;; wasi:sockets
