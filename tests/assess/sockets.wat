;; wasi:sockets. A listener and a socket for datagrams of the runner wait on port PORT of 127.0.0.1: it says what reached them.

    (func $tcp (param $family i32) (result i32)
      (call $create-tcp (local.get $family) (i32.const 256))
      (if (result i32) (call $result (i32.const 260)) (then (i32.load (i32.const 260))) (else (i32.const 0))))

    (func $udp (param $family i32) (result i32)
      (call $create-udp (local.get $family) (i32.const 256))
      (if (result i32) (call $result (i32.const 260)) (then (i32.load (i32.const 260))) (else (i32.const 0))))

    ;; Connects to a.0.0.d, and waits for the end of it.
    (func $connect (param $a i32) (param $d i32) (local $socket i32)
      (local.set $socket (call $tcp (i32.const 0)))
      (if (i32.eqz (local.get $socket)) (then (return)))
      (call $tcp-connect (local.get $socket) (call $network) (i32.const 0) (i32.const PORT) (local.get $a) (i32.const 0) (i32.const 0)
        (local.get $d) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
      (if (call $result (i32.const 257))
        (then
          (call $block (call $tcp-subscribe (local.get $socket)))
          (call $tcp-finish-connect (local.get $socket) (i32.const 256))
          (drop (call $result (i32.const 260))))))

    ;; A socket for datagrams at 127.0.0.1, not connected; its stream to send, or 0.
    (func $sender (result i32) (local $socket i32)
      (local.set $socket (call $udp (i32.const 0)))
      (if (i32.eqz (local.get $socket)) (then (return (i32.const 0))))
      (call $udp-bind (local.get $socket) (call $network) (i32.const 0) (i32.const 0) (i32.const 127) (i32.const 0) (i32.const 0)
        (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
      (if (i32.eqz (call $result (i32.const 257))) (then (return (i32.const 0))))
      (call $udp-finish-bind (local.get $socket) (i32.const 256))
      (if (i32.eqz (call $result (i32.const 257))) (then (return (i32.const 0))))
      (call $udp-stream (local.get $socket) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
      (if (result i32) (call $result (i32.const 260)) (then (i32.load (i32.const 264))) (else (i32.const 0))))

    ;; Sends a datagram to a.b.c.d. With the result comes how many were sent.
    (func $send-to (param $sender i32) (param $address i32)
      (i32.store (i32.const 1024) (i32.const 512))
      (i32.store (i32.const 1028) (i32.const 5))
      (i32.store (i32.const 1032) (i32.const 1))
      (i32.store (i32.const 1036) (i32.const 0))
      (i32.store16 (i32.const 1040) (i32.const PORT))
      (i32.store (i32.const 1042) (local.get $address))
      (call $send (local.get $sender) (i32.const 1024) (i32.const 1) (i32.const 256))
      (if (call $result (i32.const 264)) (then (call $number (i64.load (i32.const 264))))))

    (func (export "tcp") (result i32) (drop (call $tcp (i32.const 0))) (call $done))

    (func (export "udp") (result i32) (drop (call $udp (i32.const 0))) (call $done))

    (func (export "connect") (result i32) (call $connect (i32.const 127) (i32.const 1)) (call $done))

    ;; To 0.0.0.0, which Linux takes for this machine: the text has `invalid-argument`.
    (func (export "connect-zero") (result i32) (call $connect (i32.const 0) (i32.const 0)) (call $done))

    ;; To ::ffff:127.0.0.1, likewise.
    (func (export "connect-mapped") (result i32) (local $socket i32)
      (local.set $socket (call $tcp (i32.const 1)))
      (if (local.get $socket)
        (then
          (call $tcp-connect (local.get $socket) (call $network) (i32.const 1) (i32.const PORT) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0xffff) (i32.const 0x7f00) (i32.const 1) (i32.const 0) (i32.const 256))
          (drop (call $result (i32.const 257)))))
      (call $done))

    ;; At 127.0.0.1, a port that the host chooses.
    (func (export "bind") (result i32) (local $socket i32)
      (local.set $socket (call $tcp (i32.const 0)))
      (if (local.get $socket)
        (then
          (call $tcp-bind (local.get $socket) (call $network) (i32.const 0) (i32.const 0) (i32.const 127) (i32.const 0) (i32.const 0)
            (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
          (if (call $result (i32.const 257))
            (then (call $tcp-finish-bind (local.get $socket) (i32.const 256)) (drop (call $result (i32.const 257)))))))
      (call $done))

    ;; Without a bind before: the text has `invalid-state`.
    (func (export "listen-unbound") (result i32) (local $socket i32)
      (local.set $socket (call $tcp (i32.const 0)))
      (if (local.get $socket)
        (then (call $tcp-listen (local.get $socket) (i32.const 256)) (drop (call $result (i32.const 257)))))
      (call $done))

    (func (export "stream-unbound") (result i32) (local $socket i32)
      (local.set $socket (call $udp (i32.const 0)))
      (if (local.get $socket)
        (then
          (call $udp-stream (local.get $socket) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
          (drop (call $result (i32.const 260)))))
      (call $done))

    ;; One datagram to 127.0.0.1, to 0.0.0.0, to 255.255.255.255; and one without `check-send`.
    (func (export "send") (result i32) (local $sender i32)
      (local.set $sender (call $sender))
      (if (local.get $sender)
        (then (call $check-send (local.get $sender) (i32.const 256)) (call $send-to (local.get $sender) (i32.const 0x0100007f))))
      (call $done))

    (func (export "send-zero") (result i32) (local $sender i32)
      (local.set $sender (call $sender))
      (if (local.get $sender)
        (then (call $check-send (local.get $sender) (i32.const 256)) (call $send-to (local.get $sender) (i32.const 0))))
      (call $done))

    (func (export "send-broadcast") (result i32) (local $sender i32)
      (local.set $sender (call $sender))
      (if (local.get $sender)
        (then (call $check-send (local.get $sender) (i32.const 256)) (call $send-to (local.get $sender) (i32.const -1))))
      (call $done))

    (func (export "send-unasked") (result i32) (local $sender i32)
      (local.set $sender (call $sender))
      (if (local.get $sender) (then (call $send-to (local.get $sender) (i32.const 0x0100007f))))
      (call $done))

    ;; Connected to 127.0.0.1, a datagram to 127.0.0.2: the text has `invalid-argument`.
    (func (export "send-elsewhere") (result i32) (local $socket i32) (local $sender i32)
      (local.set $socket (call $udp (i32.const 0)))
      (if (i32.eqz (local.get $socket)) (then (return (call $done))))
      (call $udp-bind (local.get $socket) (call $network) (i32.const 0) (i32.const 0) (i32.const 127) (i32.const 0) (i32.const 0)
        (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $udp-finish-bind (local.get $socket) (i32.const 256))
      (drop (call $result (i32.const 257)))
      (call $udp-stream (local.get $socket) (i32.const 1) (i32.const 0) (i32.const PORT) (i32.const 127) (i32.const 0) (i32.const 0)
        (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 256))
      (if (call $result (i32.const 260))
        (then
          (local.set $sender (i32.load (i32.const 264)))
          (call $check-send (local.get $sender) (i32.const 256))
          (call $send-to (local.get $sender) (i32.const 0x0200007f))))
      (call $done))

    ;; A name that the hosts file has, and an address as a name, which asks nobody.
    (func $lookup (param $at i32) (param $len i32) (local $answers i32)
      (call $resolve (call $network) (local.get $at) (local.get $len) (i32.const 256))
      (if (call $result (i32.const 260))
        (then
          (local.set $answers (i32.load (i32.const 260)))
          (call $block (call $resolve-subscribe (local.get $answers)))
          (call $resolve-next (local.get $answers) (i32.const 256))
          (drop (call $result (i32.const 258))))))

    (func (export "lookup") (result i32) (call $lookup (i32.const 1088) (i32.const 9)) (call $done))

    (func (export "lookup-address") (result i32) (call $lookup (i32.const 1120) (i32.const 9)) (call $done))

    (func (export "sockets") (result i32) (local $count i32)
      (block $end (loop $next
        (call $create-tcp (i32.const 0) (i32.const 256))
        (br_if $end (i32.load8_u (i32.const 256)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (call $progress (local.get $count))
        (br_if $next (i32.lt_u (local.get $count) (i32.const 1000000)))))
      (drop (call $result (i32.const 260)))
      (call $done))

    (data (i32.const 1088) "localhost")
    (data (i32.const 1120) "127.0.0.1")
