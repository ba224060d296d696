;; wasi:sockets. There are no rules for the network, so there is none: no socket is made and no name is looked up.
;;
;; All other functions take a handle that only those could have given out. So they are one function, for each of their types.

(func $trap:a_socket_that_is_not_open unreachable)

(func $no_socket_1
  (export "wasi:sockets/tcp@0.2#[resource-drop]tcp-socket")
  (export "wasi:sockets/udp@0.2#[resource-drop]udp-socket")
  (export "wasi:sockets/udp@0.2#[resource-drop]incoming-datagram-stream")
  (export "wasi:sockets/udp@0.2#[resource-drop]outgoing-datagram-stream")
  (export "wasi:sockets/ip-name-lookup@0.2#[resource-drop]resolve-address-stream")
  (param i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_1_to_1
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.is-listening")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.address-family")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.subscribe")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.address-family")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.subscribe")
  (export "wasi:sockets/udp@0.2#[method]incoming-datagram-stream.subscribe")
  (export "wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.subscribe")
  (export "wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.subscribe")
  (param i32) (result i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_2
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.finish-bind")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.finish-connect")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.start-listen")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.finish-listen")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.accept")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.local-address")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.remote-address")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-enabled")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-idle-time")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-interval")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-count")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.hop-limit")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.receive-buffer-size")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.send-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.finish-bind")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.local-address")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.remote-address")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.unicast-hop-limit")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.receive-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.send-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.check-send")
  (export "wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.resolve-next-address")
  (param i32 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_3
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-enabled")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-count")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-hop-limit")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.shutdown")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.set-unicast-hop-limit")
  (param i32 i32 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_4
  (export "wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.send")
  (param i32 i32 i32 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_1_wide_1
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-listen-backlog-size")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-idle-time")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-interval")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-receive-buffer-size")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-send-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.set-receive-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.set-send-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]incoming-datagram-stream.receive")
  (param i32 i64 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_15
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.start-bind")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.start-connect")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.start-bind")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.stream")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

;; ---- the network ----

(func $instance-network (export "wasi:sockets/instance-network@0.2#instance-network") (result i32)
  (call $handle_new (i32.const 11)))

(func $network.drop (export "wasi:sockets/network@0.2#[resource-drop]network") (param $handle i32)
  (call $handle_drop (local.get $handle) (i32.const 11)))

;; No error comes from the network.
(func $network-error-code (export "wasi:sockets/network@0.2#network-error-code") (param $error i32) (param $out i32)
  (drop (call $handle_get (local.get $error) (i32.const 5)))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

;; result<HANDLE, error-code>, with an error: 1 access-denied, 20 permanent-resolver-failure
(func $write_refused (param $out i32) (param $code i32)
  (call $aligned (local.get $out) (i32.const 4))
  (i32.store8 $guest (local.get $out) (i32.const 1))
  (i32.store8 $guest offset=4 (local.get $out) (local.get $code)))

(func $create-socket
  (export "wasi:sockets/tcp-create-socket@0.2#create-tcp-socket")
  (export "wasi:sockets/udp-create-socket@0.2#create-udp-socket")
  (param $family i32) (param $out i32)
  (if (i32.gt_u (local.get $family) (i32.const 1)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (call $write_refused (local.get $out) (i32.const 1)))

(func $resolve-addresses (export "wasi:sockets/ip-name-lookup@0.2#resolve-addresses")
  (param $network i32) (param $ptr i32) (param $len i32) (param $out i32)
  (drop (call $handle_get (local.get $network) (i32.const 11)))
  (drop (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (call $write_refused (local.get $out) (i32.const 20)))
