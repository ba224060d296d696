//! The real directories, streams and sockets a sequence acts on.
//!
//! ```text
//! outside/   granted to nobody            control/   what standard input and output are
//! rw/        3, read-write                ro/        4, read-only
//! app/       5, append                    rw/d       6, read-write      rw/a   7, read-only
//! ```

use super::predict::Model;
use super::table::{Desc, Object, Table};
use super::tree::{Body, Dir, Ino, TOP, Tree};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wave_monitor::{Access, Kind, Limits, Rights};
use wave_wasi::Preopen;

pub const ARGS: &[&str] = &["guest", "two words"];
pub const ENVIRON: &[&str] = &["KEY=value", "EMPTY="];

const STDIN: &[u8] = b"what somebody typed\n";
const FROM_PEER: &[u8] = b"from the peer";

/// The grants: name for the guest, path on the host, access.
const GRANTS: [(&str, &str, Access); 5] = [
    ("rw", "rw", Access::ReadWrite),
    ("ro", "ro", Access::ReadOnly),
    ("app", "app", Access::Append),
    ("inner", "rw/d", Access::ReadWrite),
    ("narrow", "rw/a", Access::ReadOnly),
];

/// What a guest could change about an object: inode, mode, links, size, times of modification and of change.
///
/// Nobody can write to a file, or set its time of modification, and leave the time of change as it was.
type Snapshot = Vec<(PathBuf, [i128; 6])>;

/// Everything on the host that a guest could reach if nothing stopped it.
#[derive(Debug)]
pub struct World {
    root: TempDir,
    template: Tree,
    /// What must never change.
    fixed: Snapshot,
    /// What the trees are like, if that is known.
    now: Option<Tree>,
    saved: [OwnedFd; 3],
    position_max: u64,
    runs: u64,
}

/// What a run starts with.
#[derive(Debug)]
pub struct Start {
    pub preopens: Vec<Preopen>,
    pub listener: OwnedFd,
    pub stream: OwnedFd,
    pub peers: Peers,
}

/// The other ends of the guest's streams.
#[derive(Debug)]
pub struct Peers {
    stderr: OwnedFd,
    stream: OwnedFd,
    _client: UnixStream,
}

impl World {
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let template = template(root.path());
        realize(&template, TOP, root.path(), &mut HashMap::new());
        let position_max = position_max(&root.path().join("control/stdin"));
        let fixed = snapshot_fixed(root.path());
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let saved = streams.map(|stream| rustix::io::fcntl_dupfd_cloexec(stream, 3).expect("a standard stream"));
        Self { root, now: Some(template.clone()), template, fixed, saved, position_max, runs: 0 }
    }

    /// The model of a run that has not begun.
    pub fn model(&self, limits: Limits) -> Model {
        Model::new(self.template.clone(), self.table(), self.position_max, limits)
    }

    /// Makes the trees as they were, and puts the streams of the sandbox in place of the process's.
    pub fn enter(&mut self) -> Start {
        self.restore();
        let stdin = fs::File::open(self.path("control/stdin")).expect("made before");
        let stdout = fs::File::create(self.path("control/stdout")).expect("made before");
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).expect("our own pipe");
        rustix::stdio::dup2_stdin(&stdin).expect("standard input");
        rustix::stdio::dup2_stdout(&stdout).expect("standard output");
        rustix::stdio::dup2_stderr(&writer).expect("standard error");

        self.runs += 1;
        let name = format!("wave-sequences-{}-{}", std::process::id(), self.runs);
        let address = SocketAddr::from_abstract_name(name).expect("a short name");
        let listener = UnixListener::bind_addr(&address).expect("a free name");
        listener.set_nonblocking(true).expect("our own socket");
        let client = UnixStream::connect_addr(&address).expect("the listener waits");
        let (stream, peer) = UnixStream::pair().expect("a pair");
        stream.set_nonblocking(true).expect("our own socket");
        peer.set_nonblocking(true).expect("our own socket");
        rustix::io::write(&peer, FROM_PEER).expect("there is room");

        let open = |path: &str| fs::File::open(self.path(path)).expect("made before").into();
        let preopen = |(name, path, access): (&str, &str, Access)| Preopen {
            dir: open(path),
            host_path: path.into(),
            guest_path: name.into(),
            access,
            file: None,
        };
        Start {
            preopens: GRANTS.map(preopen).into(),
            listener: listener.into(),
            stream: stream.into(),
            peers: Peers { stderr: reader, stream: peer.into(), _client: client },
        }
    }

    /// Gives the process its own streams back.
    pub fn leave(&mut self) {
        for (fd, saved) in (0..).zip(&self.saved) {
            let back = match fd {
                0 => rustix::stdio::dup2_stdin(saved),
                1 => rustix::stdio::dup2_stdout(saved),
                _ => rustix::stdio::dup2_stderr(saved),
            };
            back.expect("a standard stream");
        }
    }

    /// What the trees are like is not known any more.
    pub fn spoil(&mut self) {
        self.now = None;
    }

    /// Compares everything with the model.
    pub fn compare(&mut self, tree: Tree) -> Result<(), String> {
        self.now = None;
        let fixed = snapshot_fixed(self.root.path());
        for (before, now) in self.fixed.iter().zip(&fixed) {
            if before != now {
                return Err(format!("changed outside the writable grants: {before:?}, now {now:?}"));
            }
        }
        if self.fixed.len() != fixed.len() {
            return Err("something appeared or vanished outside the writable grants".to_owned());
        }
        self.compare_appended()?;
        for name in ["rw", "app", "control"] {
            let ino = *tree.dir(TOP).expect("the top").names.get(name.as_bytes()).expect("never moved");
            compare(&tree, ino, &self.path(name))?;
        }
        self.now = Some(tree);
        Ok(())
    }

    /// Makes the writable trees like the template, where they are not.
    fn restore(&mut self) {
        match self.now.take() {
            Some(now) if !now.changed => {}
            Some(now) => {
                let mut kept = HashMap::new();
                for name in ["rw", "app"] {
                    self.keep_same(&now, self.find(name), &self.path(name), &mut kept);
                }
                for name in ["rw", "app"] {
                    realize(&self.template, self.find(name), &self.path(name), &mut kept);
                }
            }
            None => {
                let mut made = HashMap::new();
                for name in ["outside", "control", "ro", "rw", "app"] {
                    let path = self.path(name);
                    if path.exists() {
                        fs::remove_dir_all(&path).expect("ours to remove");
                    }
                    fs::create_dir(&path).expect("ours to make");
                    realize(&self.template, self.find(name), &path, &mut made);
                }
                self.fixed = snapshot_fixed(self.root.path());
            }
        }
        self.now = Some(self.template.clone());
    }

    /// Removes what is not as in the template, and notes what stays.
    fn keep_same(&self, now: &Tree, dir: Ino, path: &Path, kept: &mut HashMap<Ino, PathBuf>) {
        let template = &self.template.dir(dir).expect("a directory").names;
        for (name, ino) in &now.dir(dir).expect("the same directory").names {
            let path = path.join(OsStr::from_bytes(name));
            let same = match (&now.node(*ino).body, template.get(name) == Some(ino)) {
                (_, false) => false,
                (Body::Dir(_), true) => {
                    self.keep_same(now, *ino, &path, kept);
                    true
                }
                (Body::File(content), true) => {
                    matches!(&self.template.node(*ino).body, Body::File(first) if first == content)
                }
                (Body::Link(_) | Body::Fifo { .. }, true) => true,
            };
            if same {
                kept.insert(*ino, path);
            } else if now.is_dir(*ino) {
                fs::remove_dir_all(&path).expect("ours to remove");
            } else {
                fs::remove_file(&path).expect("ours to remove");
            }
        }
    }

    /// Whether everything that was in the append grant is there, and longer at most.
    fn compare_appended(&self) -> Result<(), String> {
        fn each(tree: &Tree, ino: Ino, path: &Path) -> Result<(), String> {
            match &tree.node(ino).body {
                Body::File(content) => {
                    let now = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                    if now.starts_with(content) { Ok(()) } else { Err(format!("{} was overwritten", path.display())) }
                }
                Body::Dir(dir) => {
                    dir.names.iter().try_for_each(|(name, ino)| each(tree, *ino, &path.join(OsStr::from_bytes(name))))
                }
                _ if path.symlink_metadata().is_ok() => Ok(()),
                _ => Err(format!("{} vanished", path.display())),
            }
        }
        each(&self.template, self.find("app"), &self.path("app"))
    }

    fn table(&self) -> Table {
        let mut table = Table::default();
        let stream = Rights::STREAM;
        let of = |path: &str| Object::Node(self.find(path));
        let read = stream.without(Rights::FD_WRITE).union(Rights::FD_SEEK).union(Rights::FD_TELL);
        let write = stream.without(Rights::FD_READ).union(Rights::FD_TELL);
        let [read, write] = [read, write].map(|rights| rights.union(Rights::FD_SYNC).union(Rights::FD_DATASYNC));
        let streams = [
            (of("control/stdin"), Kind::RegularFile, read),
            (of("control/stdout"), Kind::RegularFile, write),
            (Object::Stderr, Kind::Pipe, write),
        ];
        for (fd, (object, kind, rights)) in (0..).zip(streams) {
            let mut desc = Desc::new(object, kind, Access::ReadWrite, rights);
            desc.stdio = true;
            (desc.readable, desc.writable) = (fd == 0, fd != 0);
            table.open.insert(fd, desc);
        }
        for (name, path, access) in GRANTS {
            let mut desc = Desc::new(of(path), Kind::Directory, access, Rights::ALL);
            desc.inheriting = Rights::DIRECTORY.union(Rights::REGULAR_FILE).intersection(access.ceiling());
            desc.preopen = Some(name);
            desc.writable = false;
            table.insert(desc);
        }
        let listener = Object::Listener { waiting: 1 };
        let stream = Object::Stream { queue: FROM_PEER.into(), no_more_in: false, no_more_out: false };
        table.insert(Desc::new(listener, Kind::Listener, Access::ReadWrite, Rights::ALL));
        table.insert(Desc::new(stream, Kind::Stream, Access::ReadWrite, Rights::ALL));
        table
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn find(&self, path: &str) -> Ino {
        path.split('/').fold(TOP, |at, name| self.template.dir(at).expect("a directory").names[name.as_bytes()])
    }
}

impl Peers {
    /// Takes what the guest sent, so that there is room again.
    pub fn drain(&self) {
        let mut buffer = [0; 65_536];
        for end in [&self.stderr, &self.stream] {
            while rustix::io::read(end, &mut buffer).is_ok_and(|count| count > 0) {}
        }
    }
}

/// The trees as they are before a run.
fn template(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let secret = root.join("outside/secret").into_os_string().into_vec();
    let dir = |tree: &mut Tree, at, name: &str| tree.make(at, name.as_bytes(), Body::Dir(Dir::default()));
    let file = |tree: &mut Tree, at, name: &str, text: &str| tree.make(at, name.as_bytes(), Body::File(text.into()));
    let link = |tree: &mut Tree, at, name: &str, text: &[u8]| tree.make(at, name.as_bytes(), Body::Link(text.into()));
    let fifo = |tree: &mut Tree, at| tree.make(at, b"fifo", Body::Fifo { queue: Vec::new(), vague: false });

    let control = dir(&mut tree, TOP, "control");
    tree.make(control, b"stdin", Body::File(STDIN.into()));
    tree.make(control, b"stdout", Body::File(Vec::new()));

    let outside = dir(&mut tree, TOP, "outside");
    file(&mut tree, outside, "secret", "secret");
    let b = file(&mut tree, outside, "b", "outside b");
    tree.enter(outside, b"c", b);
    let a = dir(&mut tree, outside, "a");
    file(&mut tree, a, "b", "outside a/b");
    dir(&mut tree, a, "c");
    link(&mut tree, outside, "link", b"secret");
    fifo(&mut tree, outside);

    for name in ["rw", "ro", "app"] {
        let top = dir(&mut tree, TOP, name);
        let a = dir(&mut tree, top, "a");
        file(&mut tree, a, "b", "a/b of a grant");
        dir(&mut tree, a, "c");
        link(&mut tree, a, "up", b"..");
        link(&mut tree, a, "link", b"b");
        let b = file(&mut tree, top, "b", "sixteen bytes...");
        let c = dir(&mut tree, top, "c");
        file(&mut tree, c, "a", "");
        let d = dir(&mut tree, top, "d");
        tree.enter(d, b"a", b);
        link(&mut tree, d, "out", b"../../outside");
        link(&mut tree, d, "link", b"../a/");
        link(&mut tree, top, "link", b"a/b");
        link(&mut tree, top, "dir", b"a");
        link(&mut tree, top, "out", b"../outside");
        link(&mut tree, top, "gone", b"../outside/new");
        link(&mut tree, top, "x", b"a/new");
        if name != "app" {
            fifo(&mut tree, top);
        }
        if name == "rw" {
            link(&mut tree, top, "in", b"d/link/up/c");
            link(&mut tree, top, "up", b"..");
            link(&mut tree, top, "abs", &secret);
            link(&mut tree, top, "loop", b"loop");
            // Deep enough for `..` to have more than one place to go wrong.
            let e = dir(&mut tree, d, "e");
            let deep = dir(&mut tree, e, "e");
            file(&mut tree, deep, "b", "deep");
            file(&mut tree, e, "x", "less deep");
            link(&mut tree, deep, "up", b"../../e/e/../x");
            link(&mut tree, c, "end", b"../b/");
            link(&mut tree, c, "new", b"fresh/");
        }
    }
    tree.changed = false;
    tree
}

/// Makes real what is beneath a directory of the model, as far as it is not there.
fn realize(tree: &Tree, dir: Ino, path: &Path, made: &mut HashMap<Ino, PathBuf>) {
    for (name, ino) in &tree.dir(dir).expect("a directory").names {
        let path = path.join(OsString::from_vec(name.clone()));
        match made.get(ino) {
            Some(first) if *first == path => {
                if tree.is_dir(*ino) {
                    realize(tree, *ino, &path, made);
                }
                continue;
            }
            // Another name of it, which may be there.
            Some(_) if path.symlink_metadata().is_ok() => continue,
            Some(first) => {
                fs::hard_link(first, &path).expect("a link");
                continue;
            }
            None => {}
        }
        match &tree.node(*ino).body {
            Body::File(content) => fs::write(&path, content).expect("a file"),
            Body::Link(text) => symlink(OsStr::from_bytes(text), &path).expect("a link"),
            Body::Fifo { .. } => {
                mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO");
            }
            Body::Dir(_) => {
                fs::create_dir(&path).expect("a directory");
                realize(tree, *ino, &path, made);
            }
        }
        made.insert(*ino, path);
    }
}

/// The parts nobody may change. Of the writable grants that is where they are.
fn snapshot_fixed(root: &Path) -> Snapshot {
    let mut all = Vec::new();
    snapshot(&root.join("outside"), &mut all);
    snapshot(&root.join("ro"), &mut all);
    for name in ["control/stdin", "rw", "app"] {
        let found = root.join(name).symlink_metadata().expect("it stays");
        all.push((root.join(name), [found.ino().into(), found.mode().into(), 0, 0, 0, 0]));
    }
    let names = fs::read_dir(root).expect("ours").map(|entry| entry.expect("an entry").path());
    all.extend(names.map(|path| (path, [0; 6])));
    all.sort();
    all
}

fn snapshot(path: &Path, all: &mut Snapshot) {
    let found = path.symlink_metadata().expect("it is there");
    let time = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    if found.is_dir() {
        for entry in fs::read_dir(path).expect("ours") {
            snapshot(&entry.expect("an entry").path(), all);
        }
    }
    let modified = time(found.mtime(), found.mtime_nsec());
    let changed = time(found.ctime(), found.ctime_nsec());
    let (inode, mode) = (found.ino().into(), found.mode().into());
    all.push((path.to_owned(), [inode, mode, found.nlink().into(), found.size().into(), modified, changed]));
}

/// Compares a real object with the one of the model.
fn compare(tree: &Tree, ino: Ino, path: &Path) -> Result<(), String> {
    let node = tree.node(ino);
    let found = path.symlink_metadata().map_err(|error| format!("{}: {error}", path.display()))?;
    let time = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
    if node.modified.is_some_and(|expected| i128::from(expected) != time) {
        return Err(format!("{} was modified at {time}, not {:?}", path.display(), node.modified));
    }
    let kind = FileType::from_raw_mode(found.mode());
    let same = match &node.body {
        Body::File(content) => {
            kind == FileType::RegularFile
                && found.nlink() == node.links
                && found.size() == content.len() as u64
                && fs::read(path).is_ok_and(|now| now == *content)
        }
        Body::Link(text) => {
            kind == FileType::Symlink
                && found.nlink() == node.links
                && fs::read_link(path).is_ok_and(|now| now.as_os_str().as_bytes() == text)
        }
        Body::Fifo { .. } => kind == FileType::Fifo && found.nlink() == node.links,
        Body::Dir(dir) => {
            let names = fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let mut count = 0;
            for entry in names {
                let name = entry.map_err(|error| error.to_string())?.file_name();
                if !dir.names.contains_key(name.as_bytes()) {
                    return Err(format!("{} should not be there", path.join(name).display()));
                }
                count += 1;
            }
            for (name, ino) in &dir.names {
                compare(tree, *ino, &path.join(OsStr::from_bytes(name)))?;
            }
            kind == FileType::Directory && count == dir.names.len()
        }
    };
    if same { Ok(()) } else { Err(format!("{} is {found:?} instead of {node:?}", path.display())) }
}

/// Where the file system of a file ends positions.
fn position_max(path: &Path) -> u64 {
    let file = fs::File::open(path).expect("made before");
    let works = |at| rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(at)).is_ok();
    let (mut good, mut bad) = (0, 1 << 63);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if works(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}
