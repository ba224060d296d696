//! A hostcall as a value, and a row of them.

use std::fmt;
use wave_monitor::Limits;

/// A path argument: where it is and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    pub ptr: u32,
    pub len: u32,
}

macro_rules! calls {
    ($($name:ident { $($field:ident: $type:ty),* })*) => {
        /// One hostcall with its arguments. `old` selects the function of `wasi_unstable`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Call {
            $($name { $($field: $type),* },)*
        }

        impl Call {
            /// The name of every call.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)*
                }
            }
        }
    };
}

calls! {
    ArgsGet { array: u32, buf: u32 }
    ArgsSizesGet { count: u32, size: u32 }
    EnvironGet { array: u32, buf: u32 }
    EnvironSizesGet { count: u32, size: u32 }
    ClockResGet { id: u32, out: u32 }
    ClockTimeGet { id: u32, precision: u64, out: u32 }
    FdAdvise { fd: u32, offset: u64, len: u64, advice: u32 }
    FdAllocate { fd: u32, offset: u64, len: u64 }
    FdClose { fd: u32 }
    FdDatasync { fd: u32 }
    FdFdstatGet { fd: u32, out: u32 }
    FdFdstatSetFlags { fd: u32, flags: u32 }
    FdFdstatSetRights { fd: u32, base: u64, inheriting: u64 }
    FdFilestatGet { fd: u32, out: u32, old: bool }
    FdFilestatSetSize { fd: u32, size: u64 }
    FdFilestatSetTimes { fd: u32, atim: u64, mtim: u64, flags: u32 }
    FdPread { fd: u32, iovs: u32, count: u32, offset: u64, out: u32 }
    FdPrestatDirName { fd: u32, buf: u32, len: u32 }
    FdPrestatGet { fd: u32, out: u32 }
    FdPwrite { fd: u32, iovs: u32, count: u32, offset: u64, out: u32 }
    FdRead { fd: u32, iovs: u32, count: u32, out: u32 }
    FdReaddir { fd: u32, buf: u32, len: u32, cookie: u64, out: u32 }
    FdRenumber { from: u32, to: u32 }
    FdSeek { fd: u32, offset: u64, whence: u32, out: u32, old: bool }
    FdSync { fd: u32 }
    FdTell { fd: u32, out: u32 }
    FdWrite { fd: u32, iovs: u32, count: u32, out: u32 }
    PathCreateDirectory { fd: u32, path: Text }
    PathFilestatGet { fd: u32, lookup: u32, path: Text, out: u32, old: bool }
    PathFilestatSetTimes { fd: u32, lookup: u32, path: Text, atim: u64, mtim: u64, flags: u32 }
    PathLink { old_fd: u32, lookup: u32, old: Text, new_fd: u32, new: Text }
    PathOpen { fd: u32, lookup: u32, path: Text, oflags: u32, base: u64, inheriting: u64, fdflags: u32, out: u32 }
    PathReadlink { fd: u32, path: Text, buf: u32, len: u32, out: u32 }
    PathRemoveDirectory { fd: u32, path: Text }
    PathRename { old_fd: u32, old: Text, new_fd: u32, new: Text }
    PathSymlink { target: Text, fd: u32, path: Text }
    PathUnlinkFile { fd: u32, path: Text }
    PollOneoff { input: u32, output: u32, count: u32, out: u32, old: bool }
    ProcExit { code: u32 }
    ProcRaise { signal: u32 }
    RandomGet { buf: u32, len: u32 }
    SchedYield {}
    SockAccept { fd: u32, flags: u32, out: u32 }
    SockRecv { fd: u32, list: u32, count: u32, flags: u32, out: u32, out_flags: u32 }
    SockSend { fd: u32, list: u32, count: u32, flags: u32, out: u32 }
    SockShutdown { fd: u32, how: u32 }
}

impl Call {
    /// Whether it may fill what somebody else has to empty.
    pub const fn sends(&self) -> bool {
        matches!(self, Self::FdWrite { .. } | Self::SockSend { .. })
    }

    /// Whether it may open something, if only for itself.
    pub fn opens(&self) -> bool {
        self.name().starts_with("Path") || matches!(self, Self::SockAccept { .. } | Self::FdRenumber { .. })
    }
}

/// One step: what the guest puts into its memory, and the call it makes then.
#[derive(Clone, PartialEq, Eq)]
pub struct Op {
    pub call: Call,
    pub puts: Vec<(u32, Vec<u8>)>,
}

impl Op {
    /// Linear memory when the call is made.
    pub fn memory(&self) -> Vec<u8> {
        let mut memory = vec![0xaa; super::MEMORY_BYTES];
        for (to, bytes) in &self.puts {
            memory[*to as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        memory
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.call)?;
        for (at, bytes) in &self.puts {
            let start = &bytes[..bytes.len().min(48)];
            let more = if start.len() < bytes.len() { "..." } else { "" };
            write!(f, " @{at} \"{}\"{more}", start.escape_ascii())?;
        }
        Ok(())
    }
}

/// Calls, and what the guest that makes them may use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sequence {
    pub limits: Limits,
    pub ops: Vec<Op>,
}
