;; wasi:sockets. TCP sockets can connect, if the host gives connections (`wave_net`), and be bound to the address of a listener that the
;; host has given. There are no UDP sockets. A name has the addresses that the host has for it.
;;
;; Entry of a tcp-socket, besides what `handles.wat` says:
;;
;; | offset | what |
;; |---|---|
;; | +12 | its open file, from start-connect or start-bind on; 0 = none |
;; | +16 | the family: 0 IPv4, 1 IPv6 |
;; | +20 | why an attempt to connect failed at once, an error-code; 0 = it did not |
;; | +24 | 0 while it is connecting or listening, so that its pollable waits; otherwise 3 |
;; | +28 | state: 0 new, 1 connecting, 2 connected, 3 an attempt to connect has failed, 4 binding, 5 bound, 6 beginning to listen, |
;; |     | 7 listening |
;;
;; An error-code of these interfaces: 1 access-denied, 2 not-supported, 3 invalid-argument, 6 concurrency-conflict, 7 not-in-progress,
;; 8 would-block, 9 invalid-state, 12 address-in-use, 20 permanent-resolver-failure.

;; ---- what there is not ----

;; These take a handle that nobody gave out. So they are one function, for each of their types.

(func $trap:a_socket_that_is_not_open unreachable)

(func $no_socket_1
  (export "wasi:sockets/udp@0.2#[resource-drop]udp-socket")
  (export "wasi:sockets/udp@0.2#[resource-drop]incoming-datagram-stream")
  (export "wasi:sockets/udp@0.2#[resource-drop]outgoing-datagram-stream")
  (param i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_1_to_1
  (export "wasi:sockets/udp@0.2#[method]udp-socket.address-family")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.subscribe")
  (export "wasi:sockets/udp@0.2#[method]incoming-datagram-stream.subscribe")
  (export "wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.subscribe")
  (param i32) (result i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_2
  (export "wasi:sockets/udp@0.2#[method]udp-socket.finish-bind")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.local-address")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.remote-address")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.unicast-hop-limit")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.receive-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.send-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]outgoing-datagram-stream.check-send")
  (param i32 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_3
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
  (export "wasi:sockets/udp@0.2#[method]udp-socket.set-receive-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]udp-socket.set-send-buffer-size")
  (export "wasi:sockets/udp@0.2#[method]incoming-datagram-stream.receive")
  (param i32 i64 i32)
  (call $trap:a_socket_that_is_not_open)
  unreachable)

(func $no_socket_15
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

;; option<error-code>: what comes from a connection and from nothing else. An error of a file has none.
(func $network-error-code (export "wasi:sockets/network@0.2#network-error-code") (param $error i32) (param $out i32)
  (local $code i32)
  (local.set $code (call $socket_error (i32.load $own offset=24 (call $handle_get (local.get $error) (i32.const 5)))))
  (if (i32.or (i32.eq (local.get $code) (i32.const 5)) (i32.ge_u (local.get $code) (i32.const 13)))
    (then
      (i32.store8 $guest offset=1 (local.get $out) (local.get $code))
      (i32.store8 $guest (local.get $out) (i32.const 1)))
    (else (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; The error-code of an errno of preview 1. What has none is `unknown`.
(func $socket_error (param $errno i32) (result i32)
  (if (i32.gt_u (local.get $errno) (i32.const 76)) (then (return (i32.const 0))))
  (i32.wrap_i64
    (i64.and
      (i64.shr_u
        (call $socket_errors (i32.shr_u (local.get $errno) (i32.const 3)))
        (i64.extend_i32_u (i32.shl (i32.and (local.get $errno) (i32.const 7)) (i32.const 3))))
      (i64.const 0xff))))

;; A byte for each of eight numbers of errors.
(func $socket_errors (param $eighth i32) (result i64)
  (block $none
  (block $9
  (block $7
  (block $6
  (block $5
  (block $4
  (block $3
  (block $2
  (block $1
  (block $0
    (br_table $0 $1 $2 $3 $4 $5 $6 $7 $none $9 (local.get $eighth)))
  ;; acces, addrinuse, addrnotavail, afnosupport, again
    (return (i64.const 0x0008020b0c010000)))
  ;; connaborted, connrefused, connreset
    (return (i64.const 0x0f0e100000000000)))
  ;; hostunreach
    (return (i64.const 0x0d00000000000000)))
  ;; inval
    (return (i64.const 0x0000000300000000)))
  ;; mfile, netdown
    (return (i64.const 0x000d000000000a00)))
  ;; netunreach, nfile, nobufs
    (return (i64.const 0x0000000000040a0d)))
  ;; nomem, notconn
    (return (i64.const 0x0000090000000004)))
  ;; notsup, perm
    (return (i64.const 0x0100000000020000)))
  ;; timedout, notcapable
    (return (i64.const 0x0000000100000500)))
  (i64.const 0))

;; result<T, error-code>, with an error. The error lies at $at.
(func $write_refused (param $out i32) (param $at i32) (param $code i32)
  (i32.store8 $guest (i32.add (local.get $out) (local.get $at)) (local.get $code))
  (i32.store8 $guest (local.get $out) (i32.const 1)))

;; result<_, error-code>. 0 is no error here: what is unknown is none of those that are written this way.
(func $write_state (param $out i32) (param $code i32)
  (if (local.get $code)
    (then (call $write_refused (local.get $out) (i32.const 1) (local.get $code)))
    (else (i32.store8 $guest (local.get $out) (i32.const 0)))))

;; ---- making a socket ----

(func $check_family (param $family i32) (param $out i32)
  (if (i32.gt_u (local.get $family) (i32.const 1)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (call $aligned (local.get $out) (i32.const 4)))

(func $create-udp-socket (export "wasi:sockets/udp-create-socket@0.2#create-udp-socket") (param $family i32) (param $out i32)
  (call $check_family (local.get $family) (local.get $out))
  (call $write_refused (local.get $out) (i32.const 4) (i32.const 1)))

;; A socket costs nothing before it connects or is bound. Whether the host gives connections or listeners, it says for a descriptor that
;; is none: badf (8).
(func $create-tcp-socket (export "wasi:sockets/tcp-create-socket@0.2#create-tcp-socket") (param $family i32) (param $out i32)
  (local $socket i32) (local $errno i32)
  (call $check_family (local.get $family) (local.get $out))
  (local.set $errno (call $address (i32.const -1) (i32.const 0) (i32.const 0x100)))
  (if (i32.ne (local.get $errno) (i32.const 8))
    (then
      (call $write_refused (local.get $out) (i32.const 4) (call $socket_error (local.get $errno)))
      return))
  (local.set $socket (call $handle_new (i32.const 9)))
  (i32.store $guest offset=4 (local.get $out) (local.get $socket))
  (i32.store8 $guest (local.get $out) (i32.const 0))
  (local.set $socket (call $entry (local.get $socket)))
  (i32.store $own offset=16 (local.get $socket) (local.get $family))
  (i32.store $own offset=24 (local.get $socket) (i32.const 3)))

;; ---- names ----

;; The addresses of a resolve-address-stream that are left are a list of entries:
;;
;; | offset | of an address | of the stream |
;; |---|---|---|
;; | +4 | the family, 4 or 6 | how many pollables it has |
;; | +8 | the next address, 0 = none | |
;; | +12 | | the first address, 0 = none |
;; | +16 | 16 bytes as those of `wave_net` | |

;; The host has found the addresses before the guest ran, so the stream is ready. A name that it has no addresses for is a
;; permanent-resolver-failure: asking again changes nothing.
(func $resolve-addresses (export "wasi:sockets/ip-name-lookup@0.2#resolve-addresses")
  (param $network i32) (param $ptr i32) (param $len i32) (param $out i32)
  (local $errno i32) (local $handle i32) (local $stream i32) (local $left i32) (local $at i32) (local $number i32) (local $entry i32)
  (drop (call $handle_get (local.get $network) (i32.const 11)))
  (local.set $errno (call $path_in (local.get $ptr) (local.get $len) (i32.const 0x11000)))
  (call $aligned (local.get $out) (i32.const 4))
  (if (i32.eqz (local.get $errno))
    (then
      (local.set $errno
        (call $resolve (i32.const 0x11000) (local.get $len) (i32.const 0x19000) (i32.const 16) (i32.const 0x120)))))
  (if (local.get $errno)
    (then
      (call $write_refused (local.get $out) (i32.const 4) (i32.const 20))
      return))
  (local.set $left (i32.load $own (i32.const 0x120)))
  (if (i32.gt_u (local.get $left) (i32.const 16)) (then (call $trap:the_host_answered_what_it_cannot)))
  (local.set $handle (call $handle_new (i32.const 12)))
  (local.set $stream (call $entry (local.get $handle)))
  ;; From the last address to the first, each in front of the list.
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $left)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (local.set $at (i32.add (i32.const 0x19000) (i32.mul (local.get $left) (i32.const 24))))
      (local.set $number (call $handle_new (i32.const 33)))
      (local.set $entry (call $entry (local.get $number)))
      (i32.store $own offset=4 (local.get $entry) (i32.load16_u $own (local.get $at)))
      (i32.store $own offset=8 (local.get $entry) (i32.load $own offset=12 (local.get $stream)))
      (memory.copy $own $own
        (i32.add (local.get $entry) (i32.const 16)) (i32.add (local.get $at) (i32.const 8)) (i32.const 16))
      (i32.store $own offset=12 (local.get $stream) (local.get $number))
      (br $next)))
  (i32.store $guest offset=4 (local.get $out) (local.get $handle))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

;; result<option<ip-address>, error-code>
(func $resolve-address-stream.next
  (export "wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.resolve-next-address")
  (param $self i32) (param $out i32)
  (local $stream i32) (local $number i32) (local $entry i32) (local $index i32)
  (call $aligned (local.get $out) (i32.const 2))
  (local.set $stream (call $handle_get (local.get $self) (i32.const 12)))
  (i32.store8 $guest (local.get $out) (i32.const 0))
  (local.set $number (i32.load $own offset=12 (local.get $stream)))
  (i32.store8 $guest offset=2 (local.get $out) (i32.ne (local.get $number) (i32.const 0)))
  (if (i32.eqz (local.get $number)) (then return))
  (local.set $entry (call $entry (local.get $number)))
  (if (i32.eq (i32.load $own offset=4 (local.get $entry)) (i32.const 4))
    (then
      (i32.store8 $guest offset=4 (local.get $out) (i32.const 0))
      (i32.store $guest offset=6 align=1 (local.get $out) (i32.load $own offset=16 (local.get $entry))))
    (else
      (i32.store8 $guest offset=4 (local.get $out) (i32.const 1))
      (loop $next
        (i32.store16 $guest offset=6 (i32.add (local.get $out) (local.get $index))
          (i32.or
            (i32.shl (i32.load8_u $own offset=16 (i32.add (local.get $entry) (local.get $index))) (i32.const 8))
            (i32.load8_u $own offset=17 (i32.add (local.get $entry) (local.get $index)))))
        (local.set $index (i32.add (local.get $index) (i32.const 2)))
        (br_if $next (i32.lt_u (local.get $index) (i32.const 16))))))
  (i32.store $own offset=12 (local.get $stream) (i32.load $own offset=8 (local.get $entry)))
  (call $handle_free (local.get $number)))

(func $resolve-address-stream.subscribe (export "wasi:sockets/ip-name-lookup@0.2#[method]resolve-address-stream.subscribe")
  (param $self i32) (result i32)
  (drop (call $handle_get (local.get $self) (i32.const 12)))
  (call $pollable_new (local.get $self) (i32.const 0) (i64.const 0)))

(func $resolve-address-stream.drop (export "wasi:sockets/ip-name-lookup@0.2#[resource-drop]resolve-address-stream")
  (param $handle i32)
  (local $number i32) (local $next i32)
  (local.set $number (i32.load $own offset=12 (call $handle_get (local.get $handle) (i32.const 12))))
  (call $handle_drop (local.get $handle) (i32.const 12))
  (block $done
    (loop $another
      (br_if $done (i32.eqz (local.get $number)))
      (local.set $next (i32.load $own offset=8 (call $entry (local.get $number))))
      (call $handle_free (local.get $number))
      (local.set $number (local.get $next))
      (br $another))))

;; ---- a socket ----

(func $socket (param $handle i32) (result i32)
  (call $handle_get (local.get $handle) (i32.const 9)))

(func $socket_state (param $handle i32) (result i32)
  (i32.load $own offset=28 (call $socket (local.get $handle))))

(func $tcp-socket.drop (export "wasi:sockets/tcp@0.2#[resource-drop]tcp-socket") (param $handle i32)
  (call $handle_drop_file (local.get $handle) (i32.const 9)))

(func $tcp-socket.address-family (export "wasi:sockets/tcp@0.2#[method]tcp-socket.address-family") (param $self i32) (result i32)
  (i32.load $own offset=16 (call $socket (local.get $self))))

(func $tcp-socket.is-listening (export "wasi:sockets/tcp@0.2#[method]tcp-socket.is-listening") (param $self i32) (result i32)
  (i32.eq (call $socket_state (local.get $self)) (i32.const 7)))

;; Ready unless it is connecting, and then once it can be written to; or listening, and then once there is a connection.
(func $tcp-socket.subscribe (export "wasi:sockets/tcp@0.2#[method]tcp-socket.subscribe") (param $self i32) (result i32)
  (drop (call $socket (local.get $self)))
  (call $pollable_new (local.get $self) (i32.const 3) (i64.const 0)))

;; Writes an ip-socket-address of 12 flat values as the 24 bytes of `wave_net` to 0x100. Returns 0 if a socket of this family can have
;; nothing to do with it, which goes for groups and for an address of IPv4 in one of IPv6; 1 if it can be bound to it; 2 if it can
;; connect to it as well, which takes an address and a port.
(func $address_in
  (param $family i32) (param $case i32) (param $port i32) (param $1 i32) (param $2 i32) (param $3 i32) (param $4 i32) (param $5 i32)
  (param $6 i32) (param $7 i32) (param $8 i32) (param $9 i32) (param $10 i32) (result i32)
  (local $high i64) (local $low i64)
  (if (i32.gt_u (local.get $case) (i32.const 1)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (memory.fill $own (i32.const 0x100) (i32.const 0) (i32.const 24))
  (i32.store16 $own (i32.const 0x100) (i32.add (i32.const 4) (i32.shl (local.get $case) (i32.const 1))))
  (i32.store16 $own (i32.const 0x102) (local.get $port))
  (if (i32.ne (local.get $family) (local.get $case)) (then (return (i32.const 0))))
  (if (i32.eqz (local.get $case))
    (then
      (i32.store8 $own (i32.const 0x108) (local.get $1))
      (i32.store8 $own (i32.const 0x109) (local.get $2))
      (i32.store8 $own (i32.const 0x10a) (local.get $3))
      (i32.store8 $own (i32.const 0x10b) (local.get $4))
      ;; Neither 224.0.0.0/4 nor 255.255.255.255.
      (local.set $1 (i32.load $own (i32.const 0x108)))
      (return
        (call $kind_of_address
          (i32.and
            (i32.ne (local.get $1) (i32.const -1))
            (i32.ne (i32.and (local.get $1) (i32.const 0xf0)) (i32.const 0xe0)))
          (i64.extend_i32_u (local.get $1))))))
  ;; $1 is the flow label, $10 the scope.
  (i32.store $own (i32.const 0x104) (local.get $10))
  (call $swapped (i32.const 0x108) (local.get $2))
  (call $swapped (i32.const 0x10a) (local.get $3))
  (call $swapped (i32.const 0x10c) (local.get $4))
  (call $swapped (i32.const 0x10e) (local.get $5))
  (call $swapped (i32.const 0x110) (local.get $6))
  (call $swapped (i32.const 0x112) (local.get $7))
  (call $swapped (i32.const 0x114) (local.get $8))
  (call $swapped (i32.const 0x116) (local.get $9))
  (local.set $high (i64.load $own (i32.const 0x108)))
  (local.set $low (i64.load $own (i32.const 0x110)))
  ;; Neither ff00::/8 nor ::ffff:0:0/96.
  (call $kind_of_address
    (i32.and
      (i64.ne (i64.and (local.get $high) (i64.const 0xff)) (i64.const 0xff))
      (i64.ne
        (i64.or (local.get $high) (i64.xor (i64.and (local.get $low) (i64.const 0xffffffff)) (i64.const 0xffff0000)))
        (i64.const 0)))
    (i64.or (local.get $high) (local.get $low))))

;; What $address_in returns for an address that is one host's or not, with these bits and the port at 0x102.
(func $kind_of_address (param $unicast i32) (param $bits i64) (result i32)
  (if (i32.eqz (local.get $unicast)) (then (return (i32.const 0))))
  (select
    (i32.const 1)
    (i32.const 2)
    (i32.or (i64.eqz (local.get $bits)) (i32.eqz (i32.load16_u $own (i32.const 0x102))))))

;; Stores 16 bits with the high byte first.
(func $swapped (param $at i32) (param $value i32)
  (i32.store8 $own (local.get $at) (i32.shr_u (local.get $value) (i32.const 8)))
  (i32.store8 $own offset=1 (local.get $at) (local.get $value)))

;; ---- bind and listen: the host has bound and opened what it gives ----

(func $tcp-socket.start-bind (export "wasi:sockets/tcp@0.2#[method]tcp-socket.start-bind")
  (param $self i32) (param $network i32) (param $case i32) (param $port i32) (param $1 i32) (param $2 i32) (param $3 i32) (param $4 i32)
  (param $5 i32) (param $6 i32) (param $7 i32) (param $8 i32) (param $9 i32) (param $10 i32) (param $out i32)
  (local $socket i32) (local $kind i32)
  (local.set $socket (call $socket (local.get $self)))
  (drop (call $handle_get (local.get $network) (i32.const 11)))
  (local.set $kind
    (call $address_in (i32.load $own offset=16 (local.get $socket)) (local.get $case) (local.get $port) (local.get $1) (local.get $2)
      (local.get $3) (local.get $4) (local.get $5) (local.get $6) (local.get $7) (local.get $8) (local.get $9) (local.get $10)))
  (call $write_state (local.get $out) (call $bind (local.get $socket) (local.get $kind))))

;; The error-code of what cannot begin in the state of a socket. In the state $begun it is under way already.
(func $wrong_state (param $socket i32) (param $begun i32) (result i32)
  (select
    (i32.const 6)
    (i32.const 9)
    (i32.eq (i32.load $own offset=28 (local.get $socket)) (local.get $begun))))

;; Takes the listener that the host has given for the address at 0x100. Returns an error-code, or 0.
(func $bind (param $socket i32) (param $kind i32) (result i32)
  (local $code i32)
  (if (i32.load $own offset=28 (local.get $socket)) (then (return (call $wrong_state (local.get $socket) (i32.const 4)))))
  (if (i32.eqz (local.get $kind)) (then (return (i32.const 3))))
  (local.set $code (call $free_listener))
  (if (local.get $code) (then (return (local.get $code))))
  (call $own_file (local.get $socket))
  ;; It stays open: who binds to this address next gets it again.
  (i32.store $own offset=28 (call $stream_file (local.get $socket)) (i32.const 1))
  (i32.store $own offset=28 (local.get $socket) (i32.const 4))
  (i32.const 0))

;; Looks for a listener at the address at 0x100; for port 0, at any port. Stores its descriptor at 0x120. Returns an error-code, or 0.
(func $free_listener (result i32)
  (local $index i32) (local $code i32) (local $mask i64)
  ;; The port is in the third and fourth of eight bytes.
  (local.set $mask
    (select
      (i64.const -1)
      (i64.const 0xffffffff0000ffff)
      (i32.load16_u $own (i32.const 0x102))))
  (local.set $code (i32.const 1))
  (block $no_more
    (loop $next
      (br_if $no_more (call $tcp_listener (local.get $index) (i32.const 0x120)))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (call $address (i32.load $own (i32.const 0x120)) (i32.const 0) (i32.const 0x140)))
      (br_if $next
        (i64.ne
          (i64.and (i64.xor (i64.load $own (i32.const 0x100)) (i64.load $own (i32.const 0x140))) (local.get $mask))
          (i64.const 0)))
      (br_if $next (i64.ne (i64.load $own (i32.const 0x108)) (i64.load $own (i32.const 0x148))))
      (br_if $next (i64.ne (i64.load $own (i32.const 0x110)) (i64.load $own (i32.const 0x150))))
      (local.set $code (i32.const 12))
      (br_if $next (call $is_taken (i32.load $own (i32.const 0x120))))
      (return (i32.const 0))))
  (local.get $code))

;; Whether there is an open file of this descriptor.
(func $is_taken (param $fd i32) (result i32)
  (local $number i32) (local $entry i32)
  (loop $next
    (local.set $entry (call $entry (local.get $number)))
    (if
      (i32.and
        (i32.eq (i32.load $own (local.get $entry)) (i32.const 32))
        (i32.eq (i32.load $own offset=12 (local.get $entry)) (local.get $fd)))
      (then (return (i32.const 1))))
    (local.set $number (i32.add (local.get $number) (i32.const 1)))
    (br_if $next (i32.le_u (local.get $number) (i32.load $own (i32.const 0x44)))))
  (i32.const 0))

;; Goes on from one state to another. Returns an error-code, or 0.
(func $proceed (param $socket i32) (param $from i32) (param $to i32) (param $otherwise i32) (result i32)
  (if (i32.ne (i32.load $own offset=28 (local.get $socket)) (local.get $from)) (then (return (local.get $otherwise))))
  (i32.store $own offset=28 (local.get $socket) (local.get $to))
  (i32.const 0))

(func $tcp-socket.finish-bind (export "wasi:sockets/tcp@0.2#[method]tcp-socket.finish-bind") (param $self i32) (param $out i32)
  (call $write_state (local.get $out)
    (call $proceed (call $socket (local.get $self)) (i32.const 4) (i32.const 5) (i32.const 7))))

(func $tcp-socket.start-listen (export "wasi:sockets/tcp@0.2#[method]tcp-socket.start-listen") (param $self i32) (param $out i32)
  (local $socket i32)
  (local.set $socket (call $socket (local.get $self)))
  (call $write_state (local.get $out)
    (call $proceed (local.get $socket) (i32.const 5) (i32.const 6) (call $wrong_state (local.get $socket) (i32.const 6)))))

;; accept does not wait: the descriptor is nonblocking (4) from here on.
(func $tcp-socket.finish-listen (export "wasi:sockets/tcp@0.2#[method]tcp-socket.finish-listen") (param $self i32) (param $out i32)
  (local $socket i32) (local $code i32)
  (local.set $socket (call $socket (local.get $self)))
  (local.set $code (call $proceed (local.get $socket) (i32.const 6) (i32.const 7) (i32.const 7)))
  (if (i32.eqz (local.get $code))
    (then
      (i32.store $own offset=24 (local.get $socket) (i32.const 0))
      (call $must (call $fd_fdstat_set_flags (call $stream_fd (local.get $socket)) (i32.const 4)))))
  (call $write_state (local.get $out) (local.get $code)))

;; result<tuple<tcp-socket, input-stream, output-stream>, error-code>
(func $tcp-socket.accept (export "wasi:sockets/tcp@0.2#[method]tcp-socket.accept") (param $self i32) (param $out i32)
  (local $socket i32) (local $errno i32) (local $accepted i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $socket (call $socket (local.get $self)))
  (if (i32.ne (i32.load $own offset=28 (local.get $socket)) (i32.const 7))
    (then
      (call $write_refused (local.get $out) (i32.const 4) (i32.const 9))
      return))
  (local.set $errno (call $sock_accept (call $stream_fd (local.get $socket)) (i32.const 0) (i32.const 0x120)))
  (if (local.get $errno)
    (then
      (call $write_refused (local.get $out) (i32.const 4) (call $socket_error (local.get $errno)))
      return))
  (local.set $accepted (call $handle_new (i32.const 9)))
  (i32.store $own offset=16 (call $entry (local.get $accepted)) (i32.load $own offset=16 (local.get $socket)))
  (call $own_file (call $entry (local.get $accepted)))
  (i32.store $guest offset=4 (local.get $out) (local.get $accepted))
  (call $connected (local.get $accepted) (i32.add (local.get $out) (i32.const 8)))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

;; ---- connect ----

;; Gives a socket the open file of the descriptor at 0x120, with both flags of a descriptor and the type of a stream socket.
(func $own_file (param $socket i32)
  (local $file i32)
  (local.set $file (call $file_new (i32.load $own (i32.const 0x120)) (i32.const 3) (i32.const 6)))
  (call $file_ref (local.get $file))
  (i32.store $own offset=12 (local.get $socket) (local.get $file)))

;; Makes a socket a connected one, and writes the handles of its streams to $out.
(func $connected (param $self i32) (param $out i32)
  (local $socket i32)
  (local.set $socket (call $entry (local.get $self)))
  (i32.store $own offset=28 (local.get $socket) (i32.const 2))
  (i32.store $own offset=24 (local.get $socket) (i32.const 3))
  (i32.store $guest (local.get $out) (call $socket_stream (local.get $self) (i32.const 2)))
  (i32.store $guest offset=4 (local.get $out) (call $socket_stream (local.get $self) (i32.const 3))))

(func $socket_stream (param $self i32) (param $kind i32) (result i32)
  (local $handle i32)
  (local.set $handle
    (call $handle_of_file (local.get $kind) (i32.load $own offset=12 (call $entry (local.get $self))) (i32.const 0) (i64.const 0)))
  (call $handle_adopt (local.get $self) (local.get $handle))
  (local.get $handle))

(func $tcp-socket.start-connect (export "wasi:sockets/tcp@0.2#[method]tcp-socket.start-connect")
  (param $self i32) (param $network i32) (param $case i32) (param $port i32) (param $1 i32) (param $2 i32) (param $3 i32) (param $4 i32)
  (param $5 i32) (param $6 i32) (param $7 i32) (param $8 i32) (param $9 i32) (param $10 i32) (param $out i32)
  (local $socket i32) (local $kind i32)
  (local.set $socket (call $socket (local.get $self)))
  (drop (call $handle_get (local.get $network) (i32.const 11)))
  (local.set $kind
    (call $address_in (i32.load $own offset=16 (local.get $socket)) (local.get $case) (local.get $port) (local.get $1) (local.get $2)
      (local.get $3) (local.get $4) (local.get $5) (local.get $6) (local.get $7) (local.get $8) (local.get $9) (local.get $10)))
  (call $write_state (local.get $out) (call $connect (local.get $socket) (local.get $kind))))

;; Begins to connect to the address at 0x100. Returns an error-code, or 0. From a bound address, nobody may: its socket listens.
(func $connect (param $socket i32) (param $kind i32) (result i32)
  (local $errno i32)
  (if (i32.eq (i32.load $own offset=28 (local.get $socket)) (i32.const 5)) (then (return (i32.const 1))))
  (if (i32.load $own offset=28 (local.get $socket)) (then (return (call $wrong_state (local.get $socket) (i32.const 1)))))
  (if (i32.ne (local.get $kind) (i32.const 2)) (then (return (i32.const 3))))
  (local.set $errno (call $tcp_connect (i32.const 0x100) (i32.const 0x120)))
  ;; inval, mfile, notcapable: nothing has begun.
  (if (i32.or (i32.or (i32.eq (local.get $errno) (i32.const 28)) (i32.eq (local.get $errno) (i32.const 33)))
      (i32.eq (local.get $errno) (i32.const 76)))
    (then (return (call $socket_error (local.get $errno)))))
  (i32.store $own offset=28 (local.get $socket) (i32.const 1))
  (if (local.get $errno)
    (then
      ;; finish-connect says so.
      (i32.store $own offset=20 (local.get $socket) (call $socket_error (local.get $errno)))
      (return (i32.const 0))))
  (call $own_file (local.get $socket))
  (i32.store $own offset=24 (local.get $socket) (i32.const 0))
  (i32.const 0))

(func $tcp-socket.finish-connect (export "wasi:sockets/tcp@0.2#[method]tcp-socket.finish-connect") (param $self i32) (param $out i32)
  (local $socket i32) (local $file i32) (local $errno i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $socket (call $socket (local.get $self)))
  (if (i32.ne (i32.load $own offset=28 (local.get $socket)) (i32.const 1))
    (then
      (call $write_refused (local.get $out) (i32.const 4) (i32.const 7))
      return))
  (local.set $file (i32.load $own offset=12 (local.get $socket)))
  (if (i32.eqz (local.get $file))
    (then
      (i32.store $own offset=28 (local.get $socket) (i32.const 3))
      (call $write_refused (local.get $out) (i32.const 4) (i32.load $own offset=20 (local.get $socket)))
      return))
  (local.set $errno (call $tcp_status (call $file_fd (local.get $file))))
  (if (local.get $errno)
    (then
      ;; again (6)
      (if (i32.ne (local.get $errno) (i32.const 6))
        (then
          (i32.store $own offset=28 (local.get $socket) (i32.const 3))
          (i32.store $own offset=24 (local.get $socket) (i32.const 3))
          (i32.store $own offset=12 (local.get $socket) (i32.const 0))
          (call $file_unref (local.get $file))))
      (call $write_refused (local.get $out) (i32.const 4) (call $socket_error (local.get $errno)))
      return))
  (call $connected (local.get $self) (i32.add (local.get $out) (i32.const 4)))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

;; sock_shutdown has a bit for each direction: 1 to receive, 2 to send.
(func $tcp-socket.shutdown (export "wasi:sockets/tcp@0.2#[method]tcp-socket.shutdown") (param $self i32) (param $type i32) (param $out i32)
  (local $socket i32) (local $errno i32)
  (local.set $socket (call $socket (local.get $self)))
  (if (i32.gt_u (local.get $type) (i32.const 2)) (then (call $trap:an_enum_or_variant_without_such_a_case)))
  (if (i32.ne (i32.load $own offset=28 (local.get $socket)) (i32.const 2))
    (then
      (call $write_state (local.get $out) (i32.const 9))
      return))
  (local.set $errno (call $sock_shutdown (call $stream_fd (local.get $socket)) (i32.add (local.get $type) (i32.const 1))))
  (if (local.get $errno)
    (then (call $write_refused (local.get $out) (i32.const 1) (call $socket_error (local.get $errno))))
    (else (call $write_state (local.get $out) (i32.const 0)))))

;; ---- addresses ----

(func $tcp-socket.local-address (export "wasi:sockets/tcp@0.2#[method]tcp-socket.local-address") (param $self i32) (param $out i32)
  (local $socket i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $socket (call $socket (local.get $self)))
  (if
    (i32.and
      (i32.ne (i32.load $own offset=12 (local.get $socket)) (i32.const 0))
      (i32.ne (i32.load $own offset=28 (local.get $socket)) (i32.const 4)))
    (then (call $address_out (local.get $socket) (i32.const 0) (local.get $out)))
    (else (call $write_refused (local.get $out) (i32.const 4) (i32.const 9)))))

(func $tcp-socket.remote-address (export "wasi:sockets/tcp@0.2#[method]tcp-socket.remote-address") (param $self i32) (param $out i32)
  (local $socket i32)
  (call $aligned (local.get $out) (i32.const 4))
  (local.set $socket (call $socket (local.get $self)))
  (if (i32.eq (i32.load $own offset=28 (local.get $socket)) (i32.const 2))
    (then (call $address_out (local.get $socket) (i32.const 1) (local.get $out)))
    (else (call $write_refused (local.get $out) (i32.const 4) (i32.const 9)))))

;; result<ip-socket-address, error-code>
(func $address_out (param $socket i32) (param $which i32) (param $out i32)
  (local $errno i32) (local $index i32)
  (local.set $errno (call $address (call $stream_fd (local.get $socket)) (local.get $which) (i32.const 0x100)))
  (if (local.get $errno)
    (then
      (call $write_refused (local.get $out) (i32.const 4) (call $socket_error (local.get $errno)))
      return))
  (i32.store16 $guest offset=8 (local.get $out) (i32.load16_u $own (i32.const 0x102)))
  (if (i32.eq (i32.load16_u $own (i32.const 0x100)) (i32.const 4))
    (then
      (i32.store $guest offset=10 align=1 (local.get $out) (i32.load $own (i32.const 0x108)))
      (i32.store8 $guest offset=4 (local.get $out) (i32.const 0)))
    (else
      (i32.store $guest offset=12 (local.get $out) (i32.const 0))
      (loop $next
        (i32.store16 $guest offset=16 (i32.add (local.get $out) (local.get $index))
          (i32.or
            (i32.shl (i32.load8_u $own offset=0x108 (local.get $index)) (i32.const 8))
            (i32.load8_u $own offset=0x109 (local.get $index))))
        (local.set $index (i32.add (local.get $index) (i32.const 2)))
        (br_if $next (i32.lt_u (local.get $index) (i32.const 16))))
      (i32.store $guest offset=32 (local.get $out) (i32.const 0))
      (i32.store8 $guest offset=4 (local.get $out) (i32.const 1))))
  (i32.store8 $guest (local.get $out) (i32.const 0)))

;; ---- options: a hint about the queue of a listener, which nobody has to take; no other one can be read or set ----

(func $tcp-socket.set-listen-backlog-size (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-listen-backlog-size")
  (param $self i32) (param $value i64) (param $out i32)
  (local $state i32) (local $code i32)
  (local.set $state (call $socket_state (local.get $self)))
  (if (i32.and (i32.ge_u (local.get $state) (i32.const 1)) (i32.le_u (local.get $state) (i32.const 3)))
    (then (local.set $code (i32.const 9))))
  (if (i32.eq (local.get $state) (i32.const 7)) (then (local.set $code (i32.const 2))))
  (if (i64.eqz (local.get $value)) (then (local.set $code (i32.const 3))))
  (call $write_state (local.get $out) (local.get $code)))

;; result<bool or u8, error-code>
(func $no_option_1
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-enabled")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.hop-limit")
  (param $self i32) (param $out i32)
  (drop (call $socket (local.get $self)))
  (call $write_state (local.get $out) (i32.const 2)))

;; result<u32, error-code>
(func $no_option_4
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-count")
  (param $self i32) (param $out i32)
  (drop (call $socket (local.get $self)))
  (call $aligned (local.get $out) (i32.const 4))
  (call $write_refused (local.get $out) (i32.const 4) (i32.const 2)))

;; result<u64, error-code>
(func $no_option_8
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-idle-time")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.keep-alive-interval")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.receive-buffer-size")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.send-buffer-size")
  (param $self i32) (param $out i32)
  (drop (call $socket (local.get $self)))
  (call $aligned (local.get $out) (i32.const 8))
  (call $write_refused (local.get $out) (i32.const 8) (i32.const 2)))

(func $set_no_option
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-enabled")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-count")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-hop-limit")
  (param $self i32) (param $value i32) (param $out i32)
  (drop (call $socket (local.get $self)))
  (call $write_state (local.get $out) (i32.const 2)))

(func $set_no_wide_option
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-idle-time")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-keep-alive-interval")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-receive-buffer-size")
  (export "wasi:sockets/tcp@0.2#[method]tcp-socket.set-send-buffer-size")
  (param $self i32) (param $value i64) (param $out i32)
  (drop (call $socket (local.get $self)))
  (call $write_state (local.get $out) (i32.const 2)))
