//! Another sandbox around `wave`: a filter that fails some calls.

use std::path::Path;
use std::process::Command;

/// Fails each system call of the second argument with the error number in the first, then runs the rest.
const AROUND: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
steps = [(0x20, 0, 0, 0)]
for call in map(int, sys.argv[2].split(",")):
    steps += [(0x15, 0, 1, call), (0x06, 0, 0, 0x50000 | int(sys.argv[1]))]
steps += [(0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(317, 1, 0, program) == 0
os.execv(sys.argv[3], sys.argv[3:])
"#;

/// Fails all other system calls than those in the first argument with EPERM, then runs the rest.
const ONLY: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
steps = [(0x20, 0, 0, 0)]
for call in map(int, sys.argv[1].split(",")):
    steps += [(0x15, 0, 1, call), (0x06, 0, 0, 0x7fff0000)]
steps += [(0x06, 0, 0, 0x50001)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(317, 1, 0, program) == 0
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// The kernel has no such call.
pub const ENOSYS: &str = "38";
/// The call is not permitted.
pub const EPERM: &str = "1";

/// The number of `openat2`.
pub const OPENAT2: &str = "437";

/// Runs a program where these calls, by number, fail with this error number.
pub fn hiding(calls: &str, errno: &str, program: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", AROUND, errno, calls]).arg(program);
    command
}

/// Runs a program where all calls but these, by number, fail with EPERM.
pub fn permitting(calls: &[usize], program: &Path) -> Command {
    let calls: Vec<_> = calls.iter().map(ToString::to_string).collect();
    let mut command = Command::new("python3");
    command.args(["-c", ONLY, &calls.join(",")]).arg(program);
    command
}
