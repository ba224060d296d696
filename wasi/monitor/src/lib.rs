//! The reference monitor: every hostcall is decided here.
//!
//! A hostcall is three steps. It copies its arguments in and checks every pointer
//! ([`GuestRange`], [`Buffers`]); it asks the [`Monitor`]; it performs what was admitted. This
//! crate holds the checks and the decisions. It makes no system call, contains no `unsafe` and
//! depends on nothing, so what it decides can be read, tested and proved on its own.
//!
//! An answer is an [`Admitted`] effect or an [`Errno`]. [`Admitted`] and [`Target`] have private
//! fields and are made only here: code that performs effects takes them as arguments, so an
//! effect nobody admitted does not compile.
//!
//! # Which errno means "no"
//!
//! | errno | means |
//! |---|---|
//! | [`NOTCAPABLE`](Errno::NOTCAPABLE) (76) | a refusal by policy: a right the descriptor lacks, an access the grant does not give, a path that leads out of its directory, a peer no rule admits |
//! | [`INVAL`](Errno::INVAL) (28) | an argument no policy could accept: unknown flag bits, offsets of 2^63 and more; more subscriptions than the limit |
//! | [`FAULT`](Errno::FAULT) (21) | a range outside linear memory |
//! | [`NOTSUP`](Errno::NOTSUP) (58) | what no guest gets: processor time, stopping, append mode of an inherited stream |
//! | [`MFILE`](Errno::MFILE) (33) | the limit on open descriptors |
//! | [`FBIG`](Errno::FBIG) (22) | the limit on the size of a file |
//! | [`NOSPC`](Errno::NOSPC) (51) | the limit on bytes written, to files or to standard streams, and on names made |
//! | [`TOOBIG`](Errno::TOOBIG) (1) | the limit on bytes per call, where less would be a lie |
//!
//! [`Errno::rule`] says which [`Rule`] it follows from, [`Monitor::grant_of`] which grant would
//! have to change. Both are for whoever reads a trace; the guest sees the number.
//!
//! # How a decision is written
//!
//! Each comes down to leaf functions over integers, byte slices and small values, that do not
//! allocate, panic or loop over anything but their input: [`GuestRange::check`],
//! [`GuestPath::parse`], [`Subscription::parse`], [`peer_allowed`]. The methods of [`Monitor`] look
//! a descriptor up and ask them. For each there is a specification in `src/spec`, an executable
//! predicate in plain terms that was written on its own; tests compare the two. The aim is to prove
//! them equal for all inputs, on the machine code.
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod admitted;
mod clocks;
mod effects;
mod entries;
mod errno;
mod fds;
mod fdstat;
mod files;
mod filesystems;
mod flags;
mod kinds;
mod limits;
mod names;
mod offsets;
mod opens;
mod paths;
mod polls;
mod range;
mod rights;
mod rules;
mod signals;
mod sockets;
#[cfg(test)]
mod spec;
mod times;
mod transfers;
mod types;

pub use access::Access;
pub use addresses::{IpBytes, PeerRule, peer_allowed};
pub use admitted::{Admitted, Performed};
pub use clocks::Clock;
pub use effects::{
    Advise, Allocate, Close, Read, ReadAt, ReadDir, Seek, SetFlags, SetSize, SetTimes, Stat, Sync, Write, WriteAt,
};
pub use entries::{HostFd, Target};
pub use errno::Errno;
pub use fds::Monitor;
pub use fdstat::FdStat;
pub use filesystems::admit_filesystem;
pub use flags::{FdFlags, FstFlags, LookupFlags, OFlags, RiFlags, RoFlags, SdFlags, SubclockFlags};
pub use kinds::{Kind, Waiting};
pub use limits::{Claim, ENTRY_BYTES, LimitName, Limits};
pub use names::{
    DirectoryPath, Link, MakeDirectory, ReadLink, RemoveDirectory, Rename, SetTimesAt, StatAt, Symlink, Unlink,
};
pub use offsets::SeekFrom;
pub use opens::{Open, OpenRequest};
pub use paths::{GuestPath, Last, LinkTarget, PATH_MAX_BYTES};
pub use polls::{Direction, Layout, Subscription, Wanted, Watch};
pub use range::{Buffers, GuestRange, IOV_MAX};
pub use rights::Rights;
pub use rules::Rule;
pub use signals::{Raise, admit_raise};
pub use sockets::{Accept, Receive, Send, Shutdown};
pub use times::{NewTime, NewTimes};
pub use types::{Advice, FileType, Whence};
