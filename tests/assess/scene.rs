//! What probes find around them, and what is looked at afterwards.

use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;
use wave_test_support::{open_to_all, writable_dir};

/// A directory that is granted, and one beside it that is not.
pub struct Scene(TempDir);

impl Scene {
    /// `full` is with a directory of 2,000 names.
    pub fn new(full: bool) -> Self {
        let scene = Self(writable_dir());
        let (grant, outside) = (scene.grant(), scene.outside());
        for directory in ["", "dir", "names", "swap", "many"] {
            fs::create_dir(grant.join(directory)).expect("own directory");
            open_to_all(&grant.join(directory));
        }
        fs::create_dir(&outside).expect("own directory");
        open_to_all(&outside);
        let files = [grant.join("file"), grant.join("dir/inner"), grant.join("dir/inner2"), grant.join("swap/secret")];
        files.iter().for_each(|file| write(file, b"inside"));
        write(&outside.join("secret"), b"SECRET");
        (0..if full { 2000 } else { 0 })
            .for_each(|number| write(&grant.join(format!("many/a-name-of-some-length-{number}")), b""));
        write(&grant.join("names/good"), b"");
        write(&grant.join("names").join(OsStr::from_bytes(b"bad\xff")), b"");
        for (link, target) in
            [("out", "../outside/secret"), ("outdir", "../outside"), ("inside", "file"), ("dangling", "../outside/new")]
        {
            symlink(target, grant.join(link)).expect("own directory");
        }
        symlink(outside.join("secret"), grant.join("absolute")).expect("own directory");
        symlink("../outside", grant.join("other")).expect("own directory");
        nix::unistd::mkfifo(&grant.join("fifo"), Mode::from_bits_truncate(0o666)).expect("own directory");
        open_to_all(&grant.join("fifo"));
        write(&grant.join("big"), b"");
        File::options()
            .write(true)
            .open(grant.join("big"))
            .and_then(|file| file.set_len(1 << 40))
            .expect("a hole takes no space");
        scene
    }

    pub fn grant(&self) -> PathBuf {
        self.0.path().join("grant")
    }

    fn outside(&self) -> PathBuf {
        self.0.path().join("outside")
    }

    /// Exchanges the directory `swap` and the link `other` until it is dropped.
    pub fn swap(&self) -> Swapping {
        let [a, b, c] = ["swap", "other", "third"].map(|name| self.grant().join(name));
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for (from, to) in [(&a, &c), (&b, &a), (&c, &b)] {
                    fs::rename(from, to).expect("nobody else moves them");
                }
            }
        });
        Swapping { over, thread: Some(thread) }
    }

    /// Whatever the probe did: the directory beside the granted one is as it was.
    #[track_caller]
    pub fn assert_nothing_outside(&self) {
        let names: Vec<_> = fs::read_dir(self.outside())
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(fs::read(self.outside().join("secret")).expect("it is there"), b"SECRET");
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("own directory");
    open_to_all(path);
}

/// The thread that exchanges.
pub struct Swapping {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join).expect("once").expect("renaming does not fail");
    }
}

/// Waits for connections and datagrams on one port of 127.0.0.1.
pub struct Listener(TcpListener, UdpSocket);

impl Listener {
    pub fn new() -> Self {
        // The port that is free for the one may be taken for the other.
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let port = tcp.local_addr().expect("it is bound").port();
            if let Ok(udp) = UdpSocket::bind(("0.0.0.0", port)) {
                tcp.set_nonblocking(true).and_then(|()| udp.set_nonblocking(true)).expect("sockets can be set");
                return Self(tcp, udp);
            }
        }
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    #[track_caller]
    pub fn assert_not_reached(&self) {
        assert_eq!(self.0.accept().map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        assert_eq!(self.1.recv(&mut [0; 100]).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    }
}
