;; The frame around each probe: what a command may import from WASI 0.2, a memory, and what prints the outcome.
;;
;; A probe is one exported function of a file beside this one. Its component is this text with the helpers of that file and this function at the
;; mark for the program, and its name at the mark for the probe. A line that ends with "if NAME" stays only if the program mentions $NAME.
(component
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type $error (sub resource)))
    (export "[method]error.to-debug-string" (func (param "self" (borrow $error)) (result string)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.ready" (func (param "self" (borrow $pollable)) (result bool)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-type (type $error'))
    (export "error" (type $error (eq $error')))
    (alias outer 1 $pollable-type (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (type $bytes (result (list u8) (error $stream-error)))
    (type $count (result u64 (error $stream-error)))
    (type $done (result (error $stream-error)))
    (export "[method]input-stream.read" (func (param "self" (borrow $input)) (param "len" u64) (result $bytes)))
    (export "[method]input-stream.blocking-read" (func (param "self" (borrow $input)) (param "len" u64) (result $bytes)))
    (export "[method]input-stream.skip" (func (param "self" (borrow $input)) (param "len" u64) (result $count)))
    (export "[method]input-stream.subscribe" (func (param "self" (borrow $input)) (result (own $pollable))))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $output)) (result $count)))
    (export "[method]output-stream.write" (func (param "self" (borrow $output)) (param "contents" (list u8)) (result $done)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result $done)))
    (export "[method]output-stream.flush" (func (param "self" (borrow $output)) (result $done)))
    (export "[method]output-stream.blocking-flush" (func (param "self" (borrow $output)) (result $done)))
    (export "[method]output-stream.subscribe" (func (param "self" (borrow $output)) (result (own $pollable))))
    (export "[method]output-stream.write-zeroes" (func (param "self" (borrow $output)) (param "len" u64) (result $done)))
    (export "[method]output-stream.blocking-write-zeroes-and-flush"
      (func (param "self" (borrow $output)) (param "len" u64) (result $done)))
    (export "[method]output-stream.splice"
      (func (param "self" (borrow $output)) (param "src" (borrow $input)) (param "len" u64) (result $count)))))
  (alias export $streams "input-stream" (type $input-type))
  (alias export $streams "output-stream" (type $output-type))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))
    (export "initial-cwd" (func (result (option string))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result)))))) ;; if exit
  (import "wasi:cli/exit@0.2.12" (instance $exit12 (export "exit-with-code" (func (param "status-code" u8))))) ;; if exit-with-code
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $input-type (type $input'))
    (export "input-stream" (type $input (eq $input')))
    (export "get-stdin" (func (result (own $input))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-type (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stdout" (func (result (own $output))))))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output-type (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stderr" (func (result (own $output))))))
  (import "wasi:cli/terminal-output@0.2.0" (instance $terminal-output (export "terminal-output" (type (sub resource)))))
  (alias export $terminal-output "terminal-output" (type $terminal-type))
  (import "wasi:cli/terminal-stdout@0.2.0" (instance $terminal
    (alias outer 1 $terminal-type (type $terminal'))
    (export "terminal-output" (type $terminal (eq $terminal')))
    (export "get-terminal-stdout" (func (result (option (own $terminal)))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable-type (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "now" (func (result u64)))
    (export "resolution" (func (result u64)))
    (export "subscribe-instant" (func (param "when" u64) (result (own $pollable))))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $date (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $date)))
    (export "now" (func (result $datetime)))
    (export "resolution" (func (result $datetime)))))
  (alias export $wall "datetime" (type $datetime-type))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure@0.2.0" (instance $insecure
    (export "get-insecure-random-bytes" (func (param "len" u64) (result (list u8))))
    (export "get-insecure-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@0.2.0" (instance $seed (export "insecure-seed" (func (result (tuple u64 u64))))))
  (import "wasi:filesystem/types@0.2.0" (instance $filesystem
    (alias outer 1 $input-type (type $input'))
    (export "input-stream" (type $input (eq $input')))
    (alias outer 1 $output-type (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (alias outer 1 $datetime-type (type $datetime'))
    (export "datetime" (type $datetime (eq $datetime')))
    (export "descriptor" (type $descriptor (sub resource)))
    (export "directory-entry-stream" (type $entries (sub resource)))
    (type $errors (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
      "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
      "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
      "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $errors)))
    (type $types (enum "unknown" "block-device" "character-device" "directory" "fifo" "symbolic-link" "regular-file" "socket"))
    (export "descriptor-type" (type $descriptor-type (eq $types)))
    (type $entry' (record (field "type" $descriptor-type) (field "name" string)))
    (export "directory-entry" (type $entry (eq $entry')))
    (type $follow (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $follow)))
    (type $opening (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $opening)))
    (type $access (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $access)))
    (type $time (variant (case "no-change") (case "now") (case "timestamp" $datetime)))
    (export "new-timestamp" (type $new-timestamp (eq $time)))
    (type $advices (enum "normal" "sequential" "random" "will-need" "dont-need" "no-reuse"))
    (export "advice" (type $advice (eq $advices)))
    (type $hash' (record (field "lower" u64) (field "upper" u64)))
    (export "metadata-hash-value" (type $hash (eq $hash')))
    (type $stat' (record (field "type" $descriptor-type) (field "link-count" u64) (field "size" u64)
      (field "data-access-timestamp" (option $datetime)) (field "data-modification-timestamp" (option $datetime))
      (field "status-change-timestamp" (option $datetime))))
    (export "descriptor-stat" (type $stat (eq $stat')))
    (type $done (result (error $error-code)))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags)
      (param "path" string) (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
      (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.read" (func (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $error-code)))))
    (export "[method]descriptor.write" (func (param "self" (borrow $descriptor)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $error-code)))))
    (export "[method]descriptor.read-via-stream"
      (func (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $input) (error $error-code)))))
    (export "[method]descriptor.write-via-stream"
      (func (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $output) (error $error-code)))))
    (export "[method]descriptor.append-via-stream"
      (func (param "self" (borrow $descriptor)) (result (result (own $output) (error $error-code)))))
    (export "[method]descriptor.advise" (func (param "self" (borrow $descriptor)) (param "offset" u64) (param "length" u64)
      (param "advice" $advice) (result $done)))
    (export "[method]descriptor.set-size" (func (param "self" (borrow $descriptor)) (param "size" u64) (result $done)))
    (export "[method]descriptor.set-times" (func (param "self" (borrow $descriptor))
      (param "data-access-timestamp" $new-timestamp) (param "data-modification-timestamp" $new-timestamp) (result $done)))
    (export "[method]descriptor.read-directory"
      (func (param "self" (borrow $descriptor)) (result (result (own $entries) (error $error-code)))))
    (export "[method]descriptor.create-directory-at"
      (func (param "self" (borrow $descriptor)) (param "path" string) (result $done)))
    (export "[method]descriptor.stat-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags)
      (param "path" string) (result (result $stat (error $error-code)))))
    (export "[method]descriptor.set-times-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags)
      (param "path" string) (param "data-access-timestamp" $new-timestamp) (param "data-modification-timestamp" $new-timestamp)
      (result $done)))
    (export "[method]descriptor.link-at" (func (param "self" (borrow $descriptor)) (param "old-path-flags" $path-flags)
      (param "old-path" string) (param "new-descriptor" (borrow $descriptor)) (param "new-path" string) (result $done)))
    (export "[method]descriptor.readlink-at"
      (func (param "self" (borrow $descriptor)) (param "path" string) (result (result string (error $error-code)))))
    (export "[method]descriptor.remove-directory-at"
      (func (param "self" (borrow $descriptor)) (param "path" string) (result $done)))
    (export "[method]descriptor.rename-at" (func (param "self" (borrow $descriptor)) (param "old-path" string)
      (param "new-descriptor" (borrow $descriptor)) (param "new-path" string) (result $done)))
    (export "[method]descriptor.symlink-at"
      (func (param "self" (borrow $descriptor)) (param "old-path" string) (param "new-path" string) (result $done)))
    (export "[method]descriptor.unlink-file-at" (func (param "self" (borrow $descriptor)) (param "path" string) (result $done)))
    (export "[method]descriptor.metadata-hash"
      (func (param "self" (borrow $descriptor)) (result (result $hash (error $error-code)))))
    (export "[method]directory-entry-stream.read-directory-entry"
      (func (param "self" (borrow $entries)) (result (result (option $entry) (error $error-code)))))))
  (alias export $filesystem "descriptor" (type $descriptor-type))
  (alias export $filesystem "directory-entry-stream" (type $entries-type))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor-type (type $descriptor'))
    (export "descriptor" (type $descriptor (eq $descriptor')))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $errors (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use" "remote-unreachable"
      "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large" "name-unresolvable"
      "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $errors)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))
    (type $v4 (tuple u8 u8 u8 u8))
    (export "ipv4-address" (type $ipv4 (eq $v4)))
    (type $v6 (tuple u16 u16 u16 u16 u16 u16 u16 u16))
    (export "ipv6-address" (type $ipv6 (eq $v6)))
    (type $address (variant (case "ipv4" $ipv4) (case "ipv6" $ipv6)))
    (export "ip-address" (type (eq $address)))
    (type $s4 (record (field "port" u16) (field "address" $ipv4)))
    (export "ipv4-socket-address" (type $socket4 (eq $s4)))
    (type $s6 (record (field "port" u16) (field "flow-info" u32) (field "address" $ipv6) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $socket6 (eq $s6)))
    (type $socket-address (variant (case "ipv4" $socket4) (case "ipv6" $socket6)))
    (export "ip-socket-address" (type (eq $socket-address)))))
  (alias export $network "network" (type $network-type))
  (alias export $network "error-code" (type $network-error))
  (alias export $network "ip-address-family" (type $family-type))
  (alias export $network "ip-address" (type $address-type))
  (alias export $network "ip-socket-address" (type $socket-address-type))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (alias outer 1 $input-type (type $input'))
    (export "input-stream" (type $input (eq $input')))
    (alias outer 1 $output-type (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (alias outer 1 $pollable-type (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (alias outer 1 $network-error (type $error'))
    (export "error-code" (type $error (eq $error')))
    (alias outer 1 $socket-address-type (type $address'))
    (export "ip-socket-address" (type $address (eq $address')))
    (export "tcp-socket" (type $socket (sub resource)))
    (type $done (result (error $error)))
    (export "[method]tcp-socket.start-bind"
      (func (param "self" (borrow $socket)) (param "network" (borrow $network)) (param "local-address" $address) (result $done)))
    (export "[method]tcp-socket.finish-bind" (func (param "self" (borrow $socket)) (result $done)))
    (export "[method]tcp-socket.start-connect"
      (func (param "self" (borrow $socket)) (param "network" (borrow $network)) (param "remote-address" $address) (result $done)))
    (export "[method]tcp-socket.finish-connect"
      (func (param "self" (borrow $socket)) (result (result (tuple (own $input) (own $output)) (error $error)))))
    (export "[method]tcp-socket.start-listen" (func (param "self" (borrow $socket)) (result $done)))
    (export "[method]tcp-socket.finish-listen" (func (param "self" (borrow $socket)) (result $done)))
    (export "[method]tcp-socket.subscribe" (func (param "self" (borrow $socket)) (result (own $pollable))))))
  (alias export $tcp "tcp-socket" (type $tcp-type))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create-tcp
    (alias outer 1 $network-error (type $error'))
    (export "error-code" (type $error (eq $error')))
    (alias outer 1 $family-type (type $family'))
    (export "ip-address-family" (type $family (eq $family')))
    (alias outer 1 $tcp-type (type $socket'))
    (export "tcp-socket" (type $socket (eq $socket')))
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $error)))))))
  (import "wasi:sockets/udp@0.2.0" (instance $udp
    (alias outer 1 $pollable-type (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (alias outer 1 $network-error (type $error'))
    (export "error-code" (type $error (eq $error')))
    (alias outer 1 $socket-address-type (type $address'))
    (export "ip-socket-address" (type $address (eq $address')))
    (type $datagram' (record (field "data" (list u8)) (field "remote-address" (option $address))))
    (export "outgoing-datagram" (type $datagram (eq $datagram')))
    (export "udp-socket" (type $socket (sub resource)))
    (export "incoming-datagram-stream" (type $incoming (sub resource)))
    (export "outgoing-datagram-stream" (type $outgoing (sub resource)))
    (type $done (result (error $error)))
    (export "[method]udp-socket.start-bind"
      (func (param "self" (borrow $socket)) (param "network" (borrow $network)) (param "local-address" $address) (result $done)))
    (export "[method]udp-socket.finish-bind" (func (param "self" (borrow $socket)) (result $done)))
    (export "[method]udp-socket.stream" (func (param "self" (borrow $socket)) (param "remote-address" (option $address))
      (result (result (tuple (own $incoming) (own $outgoing)) (error $error)))))
    (export "[method]outgoing-datagram-stream.check-send"
      (func (param "self" (borrow $outgoing)) (result (result u64 (error $error)))))
    (export "[method]outgoing-datagram-stream.send"
      (func (param "self" (borrow $outgoing)) (param "datagrams" (list $datagram)) (result (result u64 (error $error)))))))
  (alias export $udp "udp-socket" (type $udp-type))
  (import "wasi:sockets/udp-create-socket@0.2.0" (instance $create-udp
    (alias outer 1 $network-error (type $error'))
    (export "error-code" (type $error (eq $error')))
    (alias outer 1 $family-type (type $family'))
    (export "ip-address-family" (type $family (eq $family')))
    (alias outer 1 $udp-type (type $socket'))
    (export "udp-socket" (type $socket (eq $socket')))
    (export "create-udp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $error)))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (alias outer 1 $pollable-type (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (alias outer 1 $network-type (type $network'))
    (export "network" (type $network (eq $network')))
    (alias outer 1 $network-error (type $error'))
    (export "error-code" (type $error (eq $error')))
    (alias outer 1 $address-type (type $address'))
    (export "ip-address" (type $address (eq $address')))
    (export "resolve-address-stream" (type $answers (sub resource)))
    (export "resolve-addresses"
      (func (param "network" (borrow $network)) (param "name" string) (result (result (own $answers) (error $error)))))
    (export "[method]resolve-address-stream.resolve-next-address"
      (func (param "self" (borrow $answers)) (result (result (option $address) (error $error)))))
    (export "[method]resolve-address-stream.subscribe" (func (param "self" (borrow $answers)) (result (own $pollable))))))

  ;; Results of the host lie from 65,536 on. A program can have `realloc` misbehave: with mode 1 it returns a pointer that is not aligned, with
  ;; mode 2 one that is not in memory, and with mode 3 it calls the function that the program has put into the table.
  (core module $memory
    (memory (export "memory") 2 4096)
    (table (export "table") 1 funcref)
    (global $next (export "next") (mut i32) (i32.const 0x10000))
    (global $mode (export "mode") (mut i32) (i32.const 0))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.const 0x10001))))
      (if (i32.eq (global.get $mode) (i32.const 2)) (then (return (i32.const 0xfffffff0))))
      (if (i32.eq (global.get $mode) (i32.const 3)) (then (call_indirect (i32.const 0))))
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                              (i32.sub (i32.const 0) (local.get $align))))
      (if (i32.gt_u (local.get $size) (i32.sub (i32.const 0x10000000) (local.get $at))) (then (unreachable)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (loop $grow
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 0x10000)))
          (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable))) (br $grow))))
      (local.get $at)))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $memory))
  (alias core export $m "realloc" (core func $realloc))

  (core func $now (canon lower (func $clock "now"))) ;; if now
  (core func $resolution (canon lower (func $clock "resolution"))) ;; if resolution
  (core func $subscribe-instant (canon lower (func $clock "subscribe-instant"))) ;; if subscribe-instant
  (core func $subscribe-duration (canon lower (func $clock "subscribe-duration"))) ;; if subscribe-duration
  (core func $wall-now (canon lower (func $wall "now") (memory $memory))) ;; if wall-now
  (core func $wall-resolution (canon lower (func $wall "resolution") (memory $memory))) ;; if wall-resolution
  (core func $random-bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc))) ;; if random-bytes
  (core func $random-u64 (canon lower (func $random "get-random-u64"))) ;; if random-u64
  (core func $insecure-bytes (canon lower (func $insecure "get-insecure-random-bytes") (memory $memory) (realloc $realloc))) ;; if insecure-bytes
  (core func $insecure-u64 (canon lower (func $insecure "get-insecure-random-u64"))) ;; if insecure-u64
  (core func $insecure-seed (canon lower (func $seed "insecure-seed") (memory $memory))) ;; if insecure-seed
  (core func $get-environment (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc))) ;; if get-environment
  (core func $get-arguments (canon lower (func $environment "get-arguments") (memory $memory) (realloc $realloc))) ;; if get-arguments
  (core func $initial-cwd (canon lower (func $environment "initial-cwd") (memory $memory) (realloc $realloc))) ;; if initial-cwd
  (core func $exit (canon lower (func $exit "exit"))) ;; if exit
  (core func $exit-with-code (canon lower (func $exit12 "exit-with-code"))) ;; if exit-with-code
  (core func $get-stdin (canon lower (func $stdin "get-stdin"))) ;; if get-stdin
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $get-stderr (canon lower (func $stderr "get-stderr"))) ;; if get-stderr
  (core func $terminal-stdout (canon lower (func $terminal "get-terminal-stdout") (memory $memory))) ;; if terminal-stdout
  (core func $debug-string (canon lower (func $error "[method]error.to-debug-string") (memory $memory) (realloc $realloc))) ;; if debug-string
  (core func $ready (canon lower (func $poll "[method]pollable.ready"))) ;; if ready
  (core func $block (canon lower (func $poll "[method]pollable.block"))) ;; if block
  (core func $poll (canon lower (func $poll "poll") (memory $memory) (realloc $realloc))) ;; if poll
  (core func $read (canon lower (func $streams "[method]input-stream.read") (memory $memory) (realloc $realloc))) ;; if read
  (core func $blocking-read (canon lower (func $streams "[method]input-stream.blocking-read") (memory $memory) (realloc $realloc))) ;; if blocking-read
  (core func $skip (canon lower (func $streams "[method]input-stream.skip") (memory $memory))) ;; if skip
  (core func $subscribe-in (canon lower (func $streams "[method]input-stream.subscribe"))) ;; if subscribe-in
  (core func $check-write (canon lower (func $streams "[method]output-stream.check-write") (memory $memory))) ;; if check-write
  (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory))) ;; if write
  (core func $write-and-flush (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core func $flush (canon lower (func $streams "[method]output-stream.flush") (memory $memory))) ;; if flush
  (core func $blocking-flush (canon lower (func $streams "[method]output-stream.blocking-flush") (memory $memory))) ;; if blocking-flush
  (core func $subscribe-out (canon lower (func $streams "[method]output-stream.subscribe"))) ;; if subscribe-out
  (core func $write-zeroes (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $memory))) ;; if write-zeroes
  (core func $zeroes-and-flush (canon lower (func $streams "[method]output-stream.blocking-write-zeroes-and-flush") (memory $memory))) ;; if zeroes-and-flush
  (core func $splice (canon lower (func $streams "[method]output-stream.splice") (memory $memory))) ;; if splice
  (core func $directories (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc))) ;; if directories
  (core func $open-at (canon lower (func $filesystem "[method]descriptor.open-at") (memory $memory))) ;; if open-at
  (core func $read-file (canon lower (func $filesystem "[method]descriptor.read") (memory $memory) (realloc $realloc))) ;; if read-file
  (core func $write-file (canon lower (func $filesystem "[method]descriptor.write") (memory $memory))) ;; if write-file
  (core func $read-via-stream (canon lower (func $filesystem "[method]descriptor.read-via-stream") (memory $memory))) ;; if read-via-stream
  (core func $write-via-stream (canon lower (func $filesystem "[method]descriptor.write-via-stream") (memory $memory))) ;; if write-via-stream
  (core func $append-via-stream (canon lower (func $filesystem "[method]descriptor.append-via-stream") (memory $memory))) ;; if append-via-stream
  (core func $advise (canon lower (func $filesystem "[method]descriptor.advise") (memory $memory))) ;; if advise
  (core func $set-size (canon lower (func $filesystem "[method]descriptor.set-size") (memory $memory))) ;; if set-size
  (core func $set-times (canon lower (func $filesystem "[method]descriptor.set-times") (memory $memory))) ;; if set-times
  (core func $read-directory (canon lower (func $filesystem "[method]descriptor.read-directory") (memory $memory))) ;; if read-directory
  (core func $create-directory (canon lower (func $filesystem "[method]descriptor.create-directory-at") (memory $memory))) ;; if create-directory
  (core func $stat-at (canon lower (func $filesystem "[method]descriptor.stat-at") (memory $memory))) ;; if stat-at
  (core func $set-times-at (canon lower (func $filesystem "[method]descriptor.set-times-at") (memory $memory))) ;; if set-times-at
  (core func $link-at (canon lower (func $filesystem "[method]descriptor.link-at") (memory $memory))) ;; if link-at
  (core func $readlink-at (canon lower (func $filesystem "[method]descriptor.readlink-at") (memory $memory) (realloc $realloc))) ;; if readlink-at
  (core func $remove-directory (canon lower (func $filesystem "[method]descriptor.remove-directory-at") (memory $memory))) ;; if remove-directory
  (core func $rename-at (canon lower (func $filesystem "[method]descriptor.rename-at") (memory $memory))) ;; if rename-at
  (core func $symlink-at (canon lower (func $filesystem "[method]descriptor.symlink-at") (memory $memory))) ;; if symlink-at
  (core func $unlink-file (canon lower (func $filesystem "[method]descriptor.unlink-file-at") (memory $memory))) ;; if unlink-file
  (core func $metadata-hash (canon lower (func $filesystem "[method]descriptor.metadata-hash") (memory $memory))) ;; if metadata-hash
  (core func $read-entry (canon lower (func $filesystem "[method]directory-entry-stream.read-directory-entry") (memory $memory) (realloc $realloc))) ;; if read-entry
  (core func $network (canon lower (func $instance-network "instance-network"))) ;; if network
  (core func $create-tcp (canon lower (func $create-tcp "create-tcp-socket") (memory $memory))) ;; if create-tcp
  (core func $tcp-bind (canon lower (func $tcp "[method]tcp-socket.start-bind") (memory $memory))) ;; if tcp-bind
  (core func $tcp-finish-bind (canon lower (func $tcp "[method]tcp-socket.finish-bind") (memory $memory))) ;; if tcp-finish-bind
  (core func $tcp-connect (canon lower (func $tcp "[method]tcp-socket.start-connect") (memory $memory))) ;; if tcp-connect
  (core func $tcp-finish-connect (canon lower (func $tcp "[method]tcp-socket.finish-connect") (memory $memory))) ;; if tcp-finish-connect
  (core func $tcp-listen (canon lower (func $tcp "[method]tcp-socket.start-listen") (memory $memory))) ;; if tcp-listen
  (core func $tcp-finish-listen (canon lower (func $tcp "[method]tcp-socket.finish-listen") (memory $memory))) ;; if tcp-finish-listen
  (core func $tcp-subscribe (canon lower (func $tcp "[method]tcp-socket.subscribe"))) ;; if tcp-subscribe
  (core func $create-udp (canon lower (func $create-udp "create-udp-socket") (memory $memory))) ;; if create-udp
  (core func $udp-bind (canon lower (func $udp "[method]udp-socket.start-bind") (memory $memory))) ;; if udp-bind
  (core func $udp-finish-bind (canon lower (func $udp "[method]udp-socket.finish-bind") (memory $memory))) ;; if udp-finish-bind
  (core func $udp-stream (canon lower (func $udp "[method]udp-socket.stream") (memory $memory))) ;; if udp-stream
  (core func $check-send (canon lower (func $udp "[method]outgoing-datagram-stream.check-send") (memory $memory))) ;; if check-send
  (core func $send (canon lower (func $udp "[method]outgoing-datagram-stream.send") (memory $memory))) ;; if send
  (core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $memory))) ;; if resolve
  (core func $resolve-next (canon lower (func $lookup "[method]resolve-address-stream.resolve-next-address") (memory $memory) (realloc $realloc))) ;; if resolve-next
  (core func $resolve-subscribe (canon lower (func $lookup "[method]resolve-address-stream.subscribe"))) ;; if resolve-subscribe
  (core func $drop-pollable (canon resource.drop $pollable-type)) ;; if drop-pollable
  (core func $drop-input (canon resource.drop $input-type)) ;; if drop-input
  (core func $drop-output (canon resource.drop $output-type)) ;; if drop-output
  (core func $drop-error (canon resource.drop $error-type)) ;; if drop-error
  (core func $drop-descriptor (canon resource.drop $descriptor-type)) ;; if drop-descriptor
  (core func $drop-entries (canon resource.drop $entries-type)) ;; if drop-entries

  ;; Results are written from 256 on, texts of a program lie from 1,024 on, the outcome from 32,768 on.
  (core module $main
    (import "m" "memory" (memory 0))
    (import "m" "table" (table 1 funcref))
    (import "m" "next" (global $next (mut i32)))
    (import "m" "mode" (global $mode (mut i32)))
    (import "w" "now" (func $now (result i64))) ;; if now
    (import "w" "resolution" (func $resolution (result i64))) ;; if resolution
    (import "w" "subscribe-instant" (func $subscribe-instant (param i64) (result i32))) ;; if subscribe-instant
    (import "w" "subscribe-duration" (func $subscribe-duration (param i64) (result i32))) ;; if subscribe-duration
    (import "w" "wall-now" (func $wall-now (param i32))) ;; if wall-now
    (import "w" "wall-resolution" (func $wall-resolution (param i32))) ;; if wall-resolution
    (import "w" "random-bytes" (func $random-bytes (param i64 i32))) ;; if random-bytes
    (import "w" "random-u64" (func $random-u64 (result i64))) ;; if random-u64
    (import "w" "insecure-bytes" (func $insecure-bytes (param i64 i32))) ;; if insecure-bytes
    (import "w" "insecure-u64" (func $insecure-u64 (result i64))) ;; if insecure-u64
    (import "w" "insecure-seed" (func $insecure-seed (param i32))) ;; if insecure-seed
    (import "w" "get-environment" (func $get-environment (param i32))) ;; if get-environment
    (import "w" "get-arguments" (func $get-arguments (param i32))) ;; if get-arguments
    (import "w" "initial-cwd" (func $initial-cwd (param i32))) ;; if initial-cwd
    (import "w" "exit" (func $exit (param i32))) ;; if exit
    (import "w" "exit-with-code" (func $exit-with-code (param i32))) ;; if exit-with-code
    (import "w" "get-stdin" (func $get-stdin (result i32))) ;; if get-stdin
    (import "w" "get-stdout" (func $get-stdout (result i32)))
    (import "w" "get-stderr" (func $get-stderr (result i32))) ;; if get-stderr
    (import "w" "terminal-stdout" (func $terminal-stdout (param i32))) ;; if terminal-stdout
    (import "w" "debug-string" (func $debug-string (param i32 i32))) ;; if debug-string
    (import "w" "ready" (func $ready (param i32) (result i32))) ;; if ready
    (import "w" "block" (func $block (param i32))) ;; if block
    (import "w" "poll" (func $poll (param i32 i32 i32))) ;; if poll
    (import "w" "read" (func $read (param i32 i64 i32))) ;; if read
    (import "w" "blocking-read" (func $blocking-read (param i32 i64 i32))) ;; if blocking-read
    (import "w" "skip" (func $skip (param i32 i64 i32))) ;; if skip
    (import "w" "subscribe-in" (func $subscribe-in (param i32) (result i32))) ;; if subscribe-in
    (import "w" "check-write" (func $check-write (param i32 i32))) ;; if check-write
    (import "w" "write" (func $write (param i32 i32 i32 i32))) ;; if write
    (import "w" "write-and-flush" (func $write-and-flush (param i32 i32 i32 i32)))
    (import "w" "flush" (func $flush (param i32 i32))) ;; if flush
    (import "w" "blocking-flush" (func $blocking-flush (param i32 i32))) ;; if blocking-flush
    (import "w" "subscribe-out" (func $subscribe-out (param i32) (result i32))) ;; if subscribe-out
    (import "w" "write-zeroes" (func $write-zeroes (param i32 i64 i32))) ;; if write-zeroes
    (import "w" "zeroes-and-flush" (func $zeroes-and-flush (param i32 i64 i32))) ;; if zeroes-and-flush
    (import "w" "splice" (func $splice (param i32 i32 i64 i32))) ;; if splice
    (import "w" "directories" (func $directories (param i32))) ;; if directories
    (import "w" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32))) ;; if open-at
    (import "w" "read-file" (func $read-file (param i32 i64 i64 i32))) ;; if read-file
    (import "w" "write-file" (func $write-file (param i32 i32 i32 i64 i32))) ;; if write-file
    (import "w" "read-via-stream" (func $read-via-stream (param i32 i64 i32))) ;; if read-via-stream
    (import "w" "write-via-stream" (func $write-via-stream (param i32 i64 i32))) ;; if write-via-stream
    (import "w" "append-via-stream" (func $append-via-stream (param i32 i32))) ;; if append-via-stream
    (import "w" "advise" (func $advise (param i32 i64 i64 i32 i32))) ;; if advise
    (import "w" "set-size" (func $set-size (param i32 i64 i32))) ;; if set-size
    (import "w" "set-times" (func $set-times (param i32 i32 i64 i32 i32 i64 i32 i32))) ;; if set-times
    (import "w" "read-directory" (func $read-directory (param i32 i32))) ;; if read-directory
    (import "w" "create-directory" (func $create-directory (param i32 i32 i32 i32))) ;; if create-directory
    (import "w" "stat-at" (func $stat-at (param i32 i32 i32 i32 i32))) ;; if stat-at
    (import "w" "set-times-at" (func $set-times-at (param i32 i32 i32 i32 i32 i64 i32 i32 i64 i32 i32))) ;; if set-times-at
    (import "w" "link-at" (func $link-at (param i32 i32 i32 i32 i32 i32 i32 i32))) ;; if link-at
    (import "w" "readlink-at" (func $readlink-at (param i32 i32 i32 i32))) ;; if readlink-at
    (import "w" "remove-directory" (func $remove-directory (param i32 i32 i32 i32))) ;; if remove-directory
    (import "w" "rename-at" (func $rename-at (param i32 i32 i32 i32 i32 i32 i32))) ;; if rename-at
    (import "w" "symlink-at" (func $symlink-at (param i32 i32 i32 i32 i32 i32))) ;; if symlink-at
    (import "w" "unlink-file" (func $unlink-file (param i32 i32 i32 i32))) ;; if unlink-file
    (import "w" "metadata-hash" (func $metadata-hash (param i32 i32))) ;; if metadata-hash
    (import "w" "read-entry" (func $read-entry (param i32 i32))) ;; if read-entry
    (import "w" "network" (func $network (result i32))) ;; if network
    (import "w" "create-tcp" (func $create-tcp (param i32 i32))) ;; if create-tcp
    (import "w" "tcp-bind" (func $tcp-bind (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))) ;; if tcp-bind
    (import "w" "tcp-finish-bind" (func $tcp-finish-bind (param i32 i32))) ;; if tcp-finish-bind
    (import "w" "tcp-connect" (func $tcp-connect (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))) ;; if tcp-connect
    (import "w" "tcp-finish-connect" (func $tcp-finish-connect (param i32 i32))) ;; if tcp-finish-connect
    (import "w" "tcp-listen" (func $tcp-listen (param i32 i32))) ;; if tcp-listen
    (import "w" "tcp-finish-listen" (func $tcp-finish-listen (param i32 i32))) ;; if tcp-finish-listen
    (import "w" "tcp-subscribe" (func $tcp-subscribe (param i32) (result i32))) ;; if tcp-subscribe
    (import "w" "create-udp" (func $create-udp (param i32 i32))) ;; if create-udp
    (import "w" "udp-bind" (func $udp-bind (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))) ;; if udp-bind
    (import "w" "udp-finish-bind" (func $udp-finish-bind (param i32 i32))) ;; if udp-finish-bind
    (import "w" "udp-stream" (func $udp-stream (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32))) ;; if udp-stream
    (import "w" "check-send" (func $check-send (param i32 i32))) ;; if check-send
    (import "w" "send" (func $send (param i32 i32 i32 i32))) ;; if send
    (import "w" "resolve" (func $resolve (param i32 i32 i32 i32))) ;; if resolve
    (import "w" "resolve-next" (func $resolve-next (param i32 i32))) ;; if resolve-next
    (import "w" "resolve-subscribe" (func $resolve-subscribe (param i32) (result i32))) ;; if resolve-subscribe
    (import "w" "drop-pollable" (func $drop-pollable (param i32))) ;; if drop-pollable
    (import "w" "drop-input" (func $drop-input (param i32))) ;; if drop-input
    (import "w" "drop-output" (func $drop-output (param i32))) ;; if drop-output
    (import "w" "drop-error" (func $drop-error (param i32))) ;; if drop-error
    (import "w" "drop-descriptor" (func $drop-descriptor (param i32))) ;; if drop-descriptor
    (import "w" "drop-entries" (func $drop-entries (param i32))) ;; if drop-entries
    (global $at (mut i32) (i32.const 0x8000))
    (func $byte (param $byte i32)
      (i32.store8 (global.get $at) (local.get $byte))
      (global.set $at (i32.add (global.get $at) (i32.const 1))))
    (func $say (param $ptr i32) (param $len i32)
      (memory.copy (global.get $at) (local.get $ptr) (local.get $len))
      (global.set $at (i32.add (global.get $at) (local.get $len)))
      (call $byte (i32.const 32)))
    (func $digits (param $value i64)
      (if (i64.ge_u (local.get $value) (i64.const 10)) (then (call $digits (i64.div_u (local.get $value) (i64.const 10)))))
      (call $byte (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10))))))
    (func $number (param $value i64) (call $digits (local.get $value)) (call $byte (i32.const 32)))
    ;; "ok", or "error" and the number of the case, of the result at 256 whose payload is at `at`.
    (func $result (param $at i32) (result i32)
      (if (i32.load8_u (i32.const 256))
        (then (call $say (i32.const 512) (i32.const 5)) (call $number (i64.extend_i32_u (i32.load8_u (local.get $at)))))
        (else (call $say (i32.const 517) (i32.const 2))))
      (i32.eqz (i32.load8_u (i32.const 256))))
    ;; The same of a stream, where an error is that the last operation failed, or that the stream is closed.
    (func $stream-result (param $at i32) (result i32)
      (if (i32.load8_u (i32.const 256))
        (then
          (if (i32.load8_u (local.get $at))
            (then (call $say (i32.const 525) (i32.const 6)))
            (else (call $say (i32.const 519) (i32.const 6)))))
        (else (call $say (i32.const 517) (i32.const 2))))
      (i32.eqz (i32.load8_u (i32.const 256))))
    (func $print
      (call $write-and-flush (call $get-stdout) (i32.const 0x8000) (i32.sub (global.get $at) (i32.const 0x8000)) (i32.const 16))
      (global.set $at (i32.const 0x8000)))
    (func $done (result i32) (call $byte (i32.const 10)) (call $print) (i32.const 0))
    ;; What has been reached, at once, because what comes next may end the program.
    (func $progress (param $count i32)
      (if (i32.or (i32.eq (local.get $count) (i32.const 1000))
            (i32.or (i32.eq (local.get $count) (i32.const 10000))
              (i32.or (i32.eq (local.get $count) (i32.const 100000)) (i32.eq (local.get $count) (i32.const 1000000)))))
        (then (call $number (i64.extend_i32_u (local.get $count))) (call $print))))
    (data (i32.const 512) "errorokfailedclosed")
PROGRAM
  )
  (core instance $w
    (export "now" (func $now)) ;; if now
    (export "resolution" (func $resolution)) ;; if resolution
    (export "subscribe-instant" (func $subscribe-instant)) ;; if subscribe-instant
    (export "subscribe-duration" (func $subscribe-duration)) ;; if subscribe-duration
    (export "wall-now" (func $wall-now)) ;; if wall-now
    (export "wall-resolution" (func $wall-resolution)) ;; if wall-resolution
    (export "random-bytes" (func $random-bytes)) ;; if random-bytes
    (export "random-u64" (func $random-u64)) ;; if random-u64
    (export "insecure-bytes" (func $insecure-bytes)) ;; if insecure-bytes
    (export "insecure-u64" (func $insecure-u64)) ;; if insecure-u64
    (export "insecure-seed" (func $insecure-seed)) ;; if insecure-seed
    (export "get-environment" (func $get-environment)) ;; if get-environment
    (export "get-arguments" (func $get-arguments)) ;; if get-arguments
    (export "initial-cwd" (func $initial-cwd)) ;; if initial-cwd
    (export "exit" (func $exit)) ;; if exit
    (export "exit-with-code" (func $exit-with-code)) ;; if exit-with-code
    (export "get-stdin" (func $get-stdin)) ;; if get-stdin
    (export "get-stdout" (func $get-stdout))
    (export "get-stderr" (func $get-stderr)) ;; if get-stderr
    (export "terminal-stdout" (func $terminal-stdout)) ;; if terminal-stdout
    (export "debug-string" (func $debug-string)) ;; if debug-string
    (export "ready" (func $ready)) ;; if ready
    (export "block" (func $block)) ;; if block
    (export "poll" (func $poll)) ;; if poll
    (export "read" (func $read)) ;; if read
    (export "blocking-read" (func $blocking-read)) ;; if blocking-read
    (export "skip" (func $skip)) ;; if skip
    (export "subscribe-in" (func $subscribe-in)) ;; if subscribe-in
    (export "check-write" (func $check-write)) ;; if check-write
    (export "write" (func $write)) ;; if write
    (export "write-and-flush" (func $write-and-flush))
    (export "flush" (func $flush)) ;; if flush
    (export "blocking-flush" (func $blocking-flush)) ;; if blocking-flush
    (export "subscribe-out" (func $subscribe-out)) ;; if subscribe-out
    (export "write-zeroes" (func $write-zeroes)) ;; if write-zeroes
    (export "zeroes-and-flush" (func $zeroes-and-flush)) ;; if zeroes-and-flush
    (export "splice" (func $splice)) ;; if splice
    (export "directories" (func $directories)) ;; if directories
    (export "open-at" (func $open-at)) ;; if open-at
    (export "read-file" (func $read-file)) ;; if read-file
    (export "write-file" (func $write-file)) ;; if write-file
    (export "read-via-stream" (func $read-via-stream)) ;; if read-via-stream
    (export "write-via-stream" (func $write-via-stream)) ;; if write-via-stream
    (export "append-via-stream" (func $append-via-stream)) ;; if append-via-stream
    (export "advise" (func $advise)) ;; if advise
    (export "set-size" (func $set-size)) ;; if set-size
    (export "set-times" (func $set-times)) ;; if set-times
    (export "read-directory" (func $read-directory)) ;; if read-directory
    (export "create-directory" (func $create-directory)) ;; if create-directory
    (export "stat-at" (func $stat-at)) ;; if stat-at
    (export "set-times-at" (func $set-times-at)) ;; if set-times-at
    (export "link-at" (func $link-at)) ;; if link-at
    (export "readlink-at" (func $readlink-at)) ;; if readlink-at
    (export "remove-directory" (func $remove-directory)) ;; if remove-directory
    (export "rename-at" (func $rename-at)) ;; if rename-at
    (export "symlink-at" (func $symlink-at)) ;; if symlink-at
    (export "unlink-file" (func $unlink-file)) ;; if unlink-file
    (export "metadata-hash" (func $metadata-hash)) ;; if metadata-hash
    (export "read-entry" (func $read-entry)) ;; if read-entry
    (export "network" (func $network)) ;; if network
    (export "create-tcp" (func $create-tcp)) ;; if create-tcp
    (export "tcp-bind" (func $tcp-bind)) ;; if tcp-bind
    (export "tcp-finish-bind" (func $tcp-finish-bind)) ;; if tcp-finish-bind
    (export "tcp-connect" (func $tcp-connect)) ;; if tcp-connect
    (export "tcp-finish-connect" (func $tcp-finish-connect)) ;; if tcp-finish-connect
    (export "tcp-listen" (func $tcp-listen)) ;; if tcp-listen
    (export "tcp-finish-listen" (func $tcp-finish-listen)) ;; if tcp-finish-listen
    (export "tcp-subscribe" (func $tcp-subscribe)) ;; if tcp-subscribe
    (export "create-udp" (func $create-udp)) ;; if create-udp
    (export "udp-bind" (func $udp-bind)) ;; if udp-bind
    (export "udp-finish-bind" (func $udp-finish-bind)) ;; if udp-finish-bind
    (export "udp-stream" (func $udp-stream)) ;; if udp-stream
    (export "check-send" (func $check-send)) ;; if check-send
    (export "send" (func $send)) ;; if send
    (export "resolve" (func $resolve)) ;; if resolve
    (export "resolve-next" (func $resolve-next)) ;; if resolve-next
    (export "resolve-subscribe" (func $resolve-subscribe)) ;; if resolve-subscribe
    (export "drop-pollable" (func $drop-pollable)) ;; if drop-pollable
    (export "drop-input" (func $drop-input)) ;; if drop-input
    (export "drop-output" (func $drop-output)) ;; if drop-output
    (export "drop-error" (func $drop-error)) ;; if drop-error
    (export "drop-descriptor" (func $drop-descriptor)) ;; if drop-descriptor
    (export "drop-entries" (func $drop-entries)) ;; if drop-entries
  )
  (core instance $p (instantiate $main (with "m" (instance $m)) (with "w" (instance $w))))
  (alias core export $p "PROBE" (core func $probe))
  (func $run (result (result)) (canon lift (core func $probe)))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))
