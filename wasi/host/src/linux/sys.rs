//! `getdents64`, which no crate offers with a buffer of the caller, and the vDSO's `getrandom`, which none offers at all.
#![allow(unsafe_code, reason = "calls without a safe form")]

use super::vdso;
use crate::sys::last_error;
use rustix::io::{Errno, Result};
use std::ffi::{c_int, c_uint, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// Reads directory entries into `buffer` and returns how many bytes they take, 0 at the end.
pub(crate) fn getdents64(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: `buffer` is borrowed mutably until the call has returned. The kernel writes at most its length, from its
    // start on, and needs no alignment.
    let filled = unsafe { libc::syscall(libc::SYS_getdents64, fd.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(filled).map_err(|_| last_error())
}

/// `vgetrandom`: fills a buffer and returns how much of it, or a negative error number.
///
/// Source: `lib/vdso/getrandom.c` of Linux.
type Function = unsafe extern "C" fn(*mut c_void, usize, c_uint, *mut c_void, usize) -> isize;

/// What the state of a generator has to be. Source: `include/uapi/linux/random.h`, `struct vgetrandom_opaque_params`.
#[repr(C)]
#[derive(Default)]
struct Params {
    state_bytes: u32,
    protection: u32,
    flags: u32,
    reserved: [u32; 13],
}

/// Asks for [`Params`], in the place of the size of a state.
const ASK: usize = usize::MAX;

/// How the state is mapped: the kernel empties it in a forked process, never writes it to disk, and may take it back, after which the
/// generator begins again. Source: mmap(2), `MAP_DROPPABLE`.
const FLAGS: c_int = 0x08 | libc::MAP_ANONYMOUS;

/// A generator of random bytes in this process, made of the vDSO's code. The kernel gives it a key by `getrandom` whenever its own
/// generator gets a new one, which is once a minute and when a virtual machine is copied.
#[derive(Debug)]
pub(crate) struct Generator {
    function: Function,
    state: NonNull<c_void>,
    state_bytes: usize,
}

// SAFETY: the state belongs to this value alone, and nothing of it belongs to a thread.
unsafe impl Send for Generator {}

impl Generator {
    /// `None` if the kernel has none (before Linux 6.11), or one that wants another kind of state than is known here.
    pub(crate) fn new() -> Option<Self> {
        let image = vdso_image()?;
        let start = image.get(vdso::function(image, c"__vdso_getrandom")?..)?.as_ptr();
        // SAFETY: the kernel's function of this name has this type, and its code lies there.
        let function = unsafe { std::mem::transmute::<*const u8, Function>(start) };
        let mut params = Params::default();
        // SAFETY: asked like this, the function writes `Params` and nothing else.
        let asked = unsafe { function(ptr::null_mut(), 0, 0, (&raw mut params).cast(), ASK) };
        let state_bytes = usize::try_from(params.state_bytes).ok()?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // A state must not cross into another page.
        let is_known = asked == 0
            && (1..=vdso::PAGE_BYTES).contains(&state_bytes)
            && (params.protection, params.flags) == (protection.cast_unsigned(), FLAGS.cast_unsigned());
        if !is_known {
            return None;
        }
        // SAFETY: a new mapping, at an address that the kernel chooses, changes no memory that is in use.
        let mapped = unsafe { libc::mmap(ptr::null_mut(), state_bytes, protection, FLAGS, -1, 0) };
        let state = NonNull::new(mapped).filter(|_| mapped != libc::MAP_FAILED)?;
        Some(Self { function, state, state_bytes })
    }

    /// Fills the start of the buffer and returns how much of it.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let (bytes, len) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `buffer` is borrowed mutably until the call has returned, and the function writes at most its length. The state
        // is mapped as the function asked, is used for nothing else, and `&mut self` means that no other call uses it.
        let filled = unsafe { (self.function)(bytes, len, 0, self.state.as_ptr(), self.state_bytes) };
        usize::try_from(filled).map_err(|_| {
            let number = i32::try_from(filled.unsigned_abs()).unwrap_or(libc::EIO);
            Errno::from_raw_os_error(number)
        })
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing uses it afterwards. If the call fails, it stays.
        unsafe { libc::munmap(self.state.as_ptr(), self.state_bytes) };
    }
}

/// The image of the vDSO, if the kernel says where it is.
fn vdso_image() -> Option<&'static [u8]> {
    // SAFETY: the function reads a list that the C library keeps.
    let address = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    let start = ptr::with_exposed_provenance::<u8>(usize::try_from(address).ok().filter(|address| *address != 0)?);
    // SAFETY: the kernel mapped an image there when this program started, which can be read and never changes. It has at least a page.
    let page = unsafe { std::slice::from_raw_parts(start, vdso::PAGE_BYTES) };
    let len = vdso::len_bytes(page)?;
    // SAFETY: as above; the image is mapped as a whole, and says that it has this length.
    Some(unsafe { std::slice::from_raw_parts(start, len) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;

    /// Whether the kernel is one that has the generator.
    fn generator() -> Option<Generator> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel has a release");
        let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse::<u32>());
        let version = (numbers.next().expect("a number").ok(), numbers.next().expect("a number").ok());
        let generator = Generator::new();
        assert_eq!(generator.is_some(), version >= (Some(6), Some(11)), "{release}");
        if generator.is_none() {
            println!("NOT RUN: the kernel's vDSO has no getrandom before Linux 6.11");
        }
        generator
    }

    #[test]
    fn t116_buffers_of_each_length_are_filled_and_nothing_else() {
        let Some(mut generator) = generator() else { return };
        let mut seen = BTreeSet::new();
        for len in (0..400).chain([4096, 65_536, 100_001]) {
            let mut memory = vec![0xaa; len + 16];
            assert_eq!(generator.fill(&mut memory[..len]), Ok(len));
            assert_eq!(memory[len..], [0xaa; 16], "{len}");
            for part in memory[..len].chunks_exact(16) {
                assert!(seen.insert(part.to_vec()), "the same bytes again");
            }
        }
    }

    #[test]
    fn t116_two_generators_differ() {
        let (Some(mut one), Some(mut other)) = (generator(), generator()) else { return };
        let mut bytes = [[0; 64]; 2];
        assert_eq!((one.fill(&mut bytes[0]), other.fill(&mut bytes[1])), (Ok(64), Ok(64)));
        assert_ne!(bytes[0], bytes[1]);
        assert_ne!(bytes, [[0; 64]; 2]);
    }

    /// A forked process, a core dump and a swap file get nothing of the state: no later bytes follow from theirs.
    #[test]
    fn t116_the_state_stays_in_this_process() {
        let Some(mut generator) = generator() else { return };
        let mut bytes = [0; 16];
        assert_eq!(generator.fill(&mut bytes), Ok(16));
        let state = generator.state.as_ptr().addr();
        let maps = fs::read_to_string("/proc/self/smaps").expect("own maps can be read");
        let contains = |line: &str| {
            let (start, rest) = line.split_once('-')?;
            let end = rest.split(' ').next()?;
            let address = |digits| usize::from_str_radix(digits, 16).ok();
            Some((address(start)?..address(end)?).contains(&state))
        };
        let mut of_state = maps.lines().skip_while(|line| contains(line) != Some(true));
        let flags = of_state.find(|line| line.starts_with("VmFlags:")).expect("it is mapped");
        let flags: BTreeSet<_> = flags.split_whitespace().skip(1).collect();
        // Readable, writable, not dumped, wiped on fork, dropped in the place of being written to a swap file.
        assert!(["rd", "wr", "dd", "wf", "dp"].iter().all(|flag| flags.contains(flag)), "{flags:?}");
        assert!(["ex", "sh"].iter().all(|flag| !flags.contains(flag)), "{flags:?}");
    }
}
