;; wasi:filesystem
