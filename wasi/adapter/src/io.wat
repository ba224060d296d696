;; wasi:io
