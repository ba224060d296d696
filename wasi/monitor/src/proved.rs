//! What the proofs look for in a binary.
//!
//! `proofs/` proves decisions on machine code. A function that is only called where the compiler sees the call can lose
//! arguments that are not used, or parts of its result that are always the same. One whose address is taken keeps the calling
//! convention. So the addresses of all proved functions are in a static that no optimization removes. It takes a few kilobytes.
//!
//! Decisions that one hostcall asks once are out of line, and the proof is about what the hostcall calls. Those that are
//! inlined into hostcalls have a function of their own here, and the proof is about that one.

use crate::connections::{is_host, widest_mask};
use crate::entries::{Entry, EntryOrigin, base_rights, inheriting_rights};
use crate::fdstat::{admit_append_change, flag_change};
use crate::limits::at_most;
use crate::lists::admit_listed;
use crate::offsets::{end_of, seek_target};
use crate::opens::{Mode, Wanted, admit_creation, admit_mode, needed_on_directory};
use crate::polls::admit_count;
use crate::sockets::{accept_flags, check_send_flags, shutdown_how};
use crate::{
    Accept, Access, Admitted, Advice, Advise, Allocate, Buffers, Claim, Clock, Close, ConnectRule, Direction, Errno,
    FdFlags, FdStat, GuestPath, GuestRange, HostFd, Inspect, IpBytes, Kind, Layout, Link, LinkTarget, LookupFlags,
    MakeDirectory, Monitor, NewTimes, OFlags, Open, OpenListed, OpenRequest, PeerRule, Performed, Protocol, Raise,
    Read, ReadAt, ReadDir, ReadLink, Receive, RemoveDirectory, Rename, RiFlags, Rights, SdFlags, Seek, SeekFrom, Send,
    SetFlags, SetSize, SetTimes, SetTimesAt, Shutdown, Stat, StatAt, SubclockFlags, Subscription, Symlink, Sync,
    Unlink, Watch, Whence, Write, WriteAt, admit_filesystem, admit_raise, connect_allowed, peer_allowed,
};

macro_rules! proved {
    ($($name:ident: $type:ty = $function:expr;)*) => {
        /// The addresses of the functions that are proved.
        #[derive(Debug)]
        #[expect(dead_code, reason = "no code reads an address; that it is taken matters")]
        pub struct Proved {
            $($name: $type,)*
        }

        /// The functions that are proved.
        #[used]
        pub static PROVED: Proved = Proved { $($name: $function,)* };
    };
}

type Admits<E> = Result<Admitted<E>, Errno>;

proved! {
    check: fn(usize, u32, u32) -> Result<GuestRange, Errno> = GuestRange::check;
    check_array: fn(usize, u32, u32, u32) -> Result<GuestRange, Errno> = GuestRange::check_array;
    copy_in_all: fn(&mut Buffers, &[u8], &[u8], u32) -> Result<(), Errno> = Buffers::copy_in_all;
    shorten_all: fn(&mut Buffers, usize) = Buffers::shorten_all;
    skip: fn(&mut Buffers, usize) = Buffers::skip;

    base_rights: fn(Rights, Kind, Access) -> Rights = base_rights;
    inheriting_rights: fn(Rights, Kind, Access) -> Rights = inheriting_rights;
    refusal: fn(&Entry, Rights) -> Errno = Entry::refusal;
    rights: fn(u64) -> Result<Rights, Errno> = Rights::from_guest;

    close: fn(&mut Monitor, u32) -> Admits<Close> = Monitor::admit_close;
    renumber: fn(&mut Monitor, u32, u32) -> Result<Option<Admitted<Close>>, Errno> = Monitor::admit_renumber;
    insert: fn(&mut Monitor, Entry) -> u32 = Monitor::insert;
    room: fn(&Monitor) -> Result<(), Errno> = Monitor::check_room;

    fdstat: fn(&Monitor, u32) -> Result<FdStat, Errno> = Monitor::fdstat;
    set_flags: fn(&Monitor, u32, FdFlags) -> Admits<SetFlags> = Monitor::admit_set_flags;
    commit_flags: fn(&mut Monitor, Performed<SetFlags>) -> Result<(), Errno> = Monitor::commit_flags;
    set_rights: fn(&mut Monitor, u32, u64, u64) -> Result<(), Errno> = Monitor::set_rights;
    flag_change: fn(FdFlags, FdFlags) -> Result<Option<bool>, Errno> = flag_change;
    append_change: fn(bool, EntryOrigin, Kind, Access) -> Result<(), Errno> = admit_append_change;

    fd_flags: fn(u32) -> Result<FdFlags, Errno> = FdFlags::from_guest;
    o_flags: fn(u32) -> Result<OFlags, Errno> = OFlags::from_guest;
    lookup_flags: fn(u32) -> Result<LookupFlags, Errno> = LookupFlags::from_guest;
    ri_flags: fn(u32) -> Result<RiFlags, Errno> = RiFlags::from_guest;
    sd_flags: fn(u32) -> Result<SdFlags, Errno> = SdFlags::from_guest;
    subclock_flags: fn(u32) -> Result<SubclockFlags, Errno> = SubclockFlags::from_guest;
    whence: fn(u32) -> Result<Whence, Errno> = Whence::from_guest;
    whence_unstable: fn(u32) -> Result<Whence, Errno> = Whence::from_guest_unstable;
    advice: fn(u32) -> Result<Advice, Errno> = Advice::from_guest;

    seek: fn(&Monitor, u32, u64, Whence) -> Admits<Seek> = Monitor::admit_seek;
    tell: fn(&Monitor, u32) -> Admits<Seek> = Monitor::admit_tell;
    stat: fn(&Monitor, u32) -> Admits<Stat> = Monitor::admit_stat;
    set_size: fn(&Monitor, u32, u64) -> Admits<SetSize> = Monitor::admit_set_size;
    set_times: fn(&Monitor, u32, NewTimes) -> Admits<SetTimes> = Monitor::admit_set_times;
    allocate: fn(&Monitor, u32, u64, u64) -> Admits<Allocate> = Monitor::admit_allocate;
    advise: fn(&Monitor, u32, u64, u64, Advice) -> Admits<Advise> = Monitor::admit_advise;
    sync: fn(&Monitor, u32) -> Admits<Sync> = Monitor::admit_sync;
    datasync: fn(&Monitor, u32) -> Admits<Sync> = Monitor::admit_datasync;
    readdir: fn(&Monitor, u32, u64, u32) -> Admits<ReadDir> = Monitor::admit_readdir;
    claim_entry: fn(&Monitor, usize) -> Result<Claim, Errno> = Monitor::claim_entry;
    claim_growth: fn(&Monitor, u64) -> Result<Claim, Errno> = Monitor::claim_growth;
    spend: fn(&mut Monitor, Claim) = Monitor::spend;
    allocated: fn(&mut Monitor, Performed<Allocate>) = Monitor::allocated;

    read: fn(&Monitor, u32) -> Admits<Read> = Monitor::admit_read;
    write: fn(&Monitor, u32) -> Admits<Write> = Monitor::admit_write;
    read_at: fn(&Monitor, u32, u64) -> Admits<ReadAt> = Monitor::admit_read_at;
    write_at: fn(&Monitor, u32, u64) -> Admits<WriteAt> = Monitor::admit_write_at;
    wrote: fn(&mut Monitor, Performed<Write>, usize) = Monitor::wrote;
    wrote_at: fn(&mut Monitor, Performed<WriteAt>, usize) = Monitor::wrote_at;
    random: fn(&Monitor, u32) -> Result<(), Errno> = Monitor::admit_random;
    at_most: fn(u64, u32) -> usize = at_most;
    end_of: fn(u64, u64) -> Result<u64, Errno> = end_of;
    seek_target: fn(u64, Whence) -> Result<SeekFrom, Errno> = seek_target;
    new_times: fn(u64, u64, u32) -> Result<NewTimes, Errno> = NewTimes::from_guest;
    clock: fn(u32) -> Result<Clock, Errno> = Clock::admit;

    open: for<'m> fn(&Monitor, OpenRequest<'m>) -> Admits<Open<'m>> = Monitor::admit_open;
    install: fn(&mut Monitor, Performed<Open<'_>>, HostFd, Kind) -> u32 = Monitor::install;
    mode: fn(Access, Rights, Rights, FdFlags) -> Result<Mode, Errno> = admit_mode;
    creation: fn(OFlags) -> Result<(), Errno> = admit_creation;
    needed_on_directory: fn(OFlags) -> Rights = needed_on_directory;
    listed: fn(Access, Rights, Rights, &Wanted) -> Result<Mode, Errno> = admit_listed;
    install_listed: fn(&mut Monitor, Performed<OpenListed>, HostFd, Kind) -> u32 = Monitor::install_listed;
    filesystem: fn(u64) -> Result<(), Errno> = admit_filesystem;

    stat_at: for<'m> fn(&Monitor, u32, u32, &'m [u8]) -> Admits<StatAt<'m>> = Monitor::admit_stat_at;
    set_times_at: for<'m> fn(&Monitor, u32, u32, &'m [u8], NewTimes) -> Admits<SetTimesAt<'m>>
        = Monitor::admit_set_times_at;
    create_directory: for<'m> fn(&Monitor, u32, &'m [u8]) -> Admits<MakeDirectory<'m>> = Monitor::admit_create_directory;
    remove_directory: for<'m> fn(&Monitor, u32, &'m [u8]) -> Admits<RemoveDirectory<'m>> = Monitor::admit_remove_directory;
    unlink: for<'m> fn(&Monitor, u32, &'m [u8]) -> Admits<Unlink<'m>> = Monitor::admit_unlink;
    readlink: for<'m> fn(&Monitor, u32, &'m [u8]) -> Admits<ReadLink<'m>> = Monitor::admit_readlink;
    link: for<'m> fn(&Monitor, u32, u32, &'m [u8], u32, &'m [u8]) -> Admits<Link<'m>> = Monitor::admit_link;
    rename: for<'m> fn(&Monitor, u32, &'m [u8], u32, &'m [u8]) -> Admits<Rename<'m>> = Monitor::admit_rename;
    symlink: for<'m> fn(&Monitor, &'m [u8], u32, &'m [u8]) -> Admits<Symlink<'m>> = Monitor::admit_symlink;
    path: fn(&'static [u8]) -> Result<GuestPath<'static>, Errno> = GuestPath::parse;
    link_target: fn(&'static [u8]) -> Result<LinkTarget<'static>, Errno> = LinkTarget::parse;

    accept: fn(&Monitor, u32, u32) -> Admits<Accept> = Monitor::admit_accept;
    receive: fn(&Monitor, u32, u32) -> Admits<Receive> = Monitor::admit_receive;
    send: fn(&Monitor, u32, u32) -> Admits<Send> = Monitor::admit_send;
    shutdown: fn(&Monitor, u32, u32) -> Admits<Shutdown> = Monitor::admit_shutdown;
    install_accepted: fn(&mut Monitor, Performed<Accept>, HostFd) -> u32 = Monitor::install_accepted;
    accept_flags: fn(u32) -> Result<FdFlags, Errno> = accept_flags;
    send_flags: fn(u32) -> Result<(), Errno> = check_send_flags;
    shutdown_how: fn(u32) -> Result<SdFlags, Errno> = shutdown_how;
    peer_rule: fn(IpBytes, u8) -> Option<PeerRule> = PeerRule::new;
    peer: fn(Option<&[PeerRule]>, IpBytes) -> bool = peer_allowed;
    is_host: fn(IpBytes, Protocol) -> bool = is_host;
    widest_mask: fn(IpBytes) -> u128 = widest_mask;
    connection: fn(&[ConnectRule], IpBytes, u16, Protocol) -> bool = connect_allowed;
    inspect: fn(&Monitor, u32) -> Admits<Inspect> = Monitor::admit_inspect;
    name: fn(&Monitor, u32) -> Admits<Inspect> = Monitor::admit_name;

    subscription: fn(&[u8], Layout) -> Result<Subscription, Errno> = Subscription::parse;
    poll: fn(&Monitor, u32) -> Result<(), Errno> = Monitor::admit_poll;
    watch: fn(&Monitor, u32, Direction) -> Admits<Watch> = Monitor::admit_watch;
    count: fn(u32, u32) -> Result<(), Errno> = admit_count;
    raise: fn(u32) -> Result<Raise, Errno> = admit_raise;
}
