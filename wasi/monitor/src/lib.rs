//! The reference monitor decides on every hostcall.
//!
//! A hostcall has three steps. It copies its arguments in and checks every pointer ([`GuestRange`], [`Buffers`]); it
//! asks the [`Monitor`]; it performs the admitted effect. This crate contains the checks and the decisions. It makes no
//! system call, has no `unsafe` code and no dependencies, so its decisions can be read, tested and proved on their own.
//!
//! The result of a decision is an [`Admitted`] effect or an [`Errno`]. [`Admitted`] and [`Target`] have private fields
//! and are created only here. Code that performs effects takes [`Admitted`] by value. So an effect that was not
//! admitted does not compile, and neither does performing one twice.
//!
//! # The errnos of a denial
//!
//! | errno | means |
//! |---|---|
//! | [`NOTCAPABLE`](Errno::NOTCAPABLE) (76) | denied by policy: a right that the descriptor lacks, an access that the grant does not give, a path that leads out of its directory, a peer or a connection that no rule allows |
//! | [`INVAL`](Errno::INVAL) (28) | an argument that no policy could allow: unknown flag bits, offsets of 2^63 and more; more subscriptions than the limit |
//! | [`FAULT`](Errno::FAULT) (21) | a range outside linear memory |
//! | [`NOTSUP`](Errno::NOTSUP) (58) | what no guest may do: read processor time, stop itself, change append mode of an inherited stream |
//! | [`MFILE`](Errno::MFILE) (33) | the limit on open descriptors |
//! | [`FBIG`](Errno::FBIG) (22) | the limit on the size of a file |
//! | [`NOSPC`](Errno::NOSPC) (51) | the limits on bytes written, to files or to standard streams, and on names created |
//! | [`TOOBIG`](Errno::TOOBIG) (1) | the limit on bytes per call, where a shorter result would be wrong |
//!
//! [`Errno::rule`] returns the [`Rule`] behind an errno, [`Monitor::grant_of`] the grant that would have to change.
//! Both are for traces. The guest gets only the number.
//!
//! # How a decision is written
//!
//! The methods of [`Monitor`] look up a descriptor and call leaf functions over integers, byte slices and small values:
//! [`GuestRange::check`], [`GuestPath::parse`], [`Subscription::parse`], [`peer_allowed`], [`connect_allowed`]. Leaf
//! functions do not allocate or panic, and loop only over their input. Each has a specification in `src/spec`, an executable predicate
//! that was written independently. Tests compare the two. `proofs/monitor` has specifications of its own, and proves on
//! the machine code of the command that the decisions are as specified for all inputs. Its table says which are proved,
//! within which bounds and under which assumptions.
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod admitted;
mod clocks;
mod connections;
mod effects;
mod entries;
mod errno;
mod fds;
mod fdstat;
mod files;
mod filesystems;
mod flags;
mod hosts;
mod kinds;
mod limits;
mod lists;
mod names;
mod offsets;
mod opens;
mod paths;
mod polls;
mod proved;
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
pub use connections::{Connect, ConnectRule, Inspect, Protocol, connect_allowed};
pub use effects::{
    Advise, Allocate, Close, Read, ReadAt, ReadDir, Seek, SetFlags, SetSize, SetTimes, Stat, Sync, Write, WriteAt,
};
pub use entries::{HostFd, Target};
pub use errno::Errno;
pub use fds::Monitor;
pub use fdstat::FdStat;
pub use filesystems::admit_filesystem;
pub use flags::{FdFlags, FstFlags, LookupFlags, OFlags, RiFlags, RoFlags, SdFlags, SubclockFlags};
pub use hosts::KnownHost;
pub use kinds::{Kind, Waiting};
pub use limits::{Claim, ENTRY_BYTES, LimitName, Limits};
pub use lists::{GrantedFile, ListItem, OpenListed, ReadList, StatListed};
pub use names::{
    DirectoryPath, Link, MakeDirectory, ReadLink, RemoveDirectory, Rename, SetTimesAt, StatAt, Symlink, Unlink,
};
pub use offsets::SeekFrom;
pub use opens::{Open, OpenRequest};
pub use paths::{GuestPath, Last, LinkTarget, PATH_MAX_BYTES};
pub use polls::{Direction, Layout, Subscription, Wanted, Watch};
#[doc(hidden)]
pub use proved::{PROVED, Proved};
pub use range::{Buffers, GuestRange, IOV_MAX};
pub use rights::Rights;
pub use rules::Rule;
pub use signals::{Raise, admit_raise};
pub use sockets::{Accept, Receive, Send, Shutdown};
pub use times::{NewTime, NewTimes};
pub use types::{Advice, FileType, Whence};
