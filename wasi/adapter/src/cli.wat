;; wasi:cli
