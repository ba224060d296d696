;; wasi:clocks
