//! Executable memory, and pages that are final. Code is seen by running it.

use libc::{
    AT_FDCWD, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, O_RDWR, PROT_EXEC, PROT_READ, PROT_WRITE, SYS_mmap,
    SYS_mprotect,
};

use crate::probe::Kind::{Exec, Other, Permitted};
use crate::probe::{End, Evidence, Probe, attack};
use crate::raw::{CODE, call, happened, runs};
use crate::scene::PAGE;

const RX: i32 = PROT_READ | PROT_EXEC;
const RW: i32 = PROT_READ | PROT_WRITE;

pub fn attacks() -> Vec<Probe> {
    let mut all = new_code();
    all.extend(old_code());
    all
}

fn new_code() -> Vec<Probe> {
    vec![
        attack(Permitted, "T80", "memory grows", "mprotect", |s| {
            call!(SYS_mprotect, s.memory, PAGE, RW)?;
            // SAFETY: the page was just opened.
            unsafe { s.memory.write(1) };
            Ok(())
        })
        .always(End::Done),
        attack(Exec, "T58, T80", "map memory, writable and executable", "mmap", |_| {
            let page = call!(SYS_mmap, 0, PAGE, RW | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)? as *mut u8;
            // SAFETY: a page of its own.
            unsafe { page.copy_from_nonoverlapping(CODE.as_ptr(), CODE.len()) };
            runs(page)
        }),
        attack(Exec, "T80", "make a page executable that was written", "mprotect", |s| {
            call!(SYS_mprotect, s.data, PAGE, RX)?;
            runs(s.data)
        }),
        attack(Exec, "T58, T80", "make a page executable that stays writable", "mprotect", |s| {
            call!(SYS_mprotect, s.data, PAGE, RW | PROT_EXEC)?;
            runs(s.data)
        }),
        attack(Exec, "T80", "make the growable memory executable", "mprotect", |s| {
            call!(SYS_mprotect, s.memory, PAGE, RW | PROT_EXEC).map(drop)
        }),
        attack(Exec, "T80", "the same by `pkey_mprotect`", "pkey_mprotect", |s| {
            call!(libc::SYS_pkey_mprotect, s.data, PAGE, RX, -1)?;
            runs(s.data)
        }),
        attack(Exec, "T80", "reading means executing (`personality`)", "personality", |_| {
            const READ_IMPLIES_EXEC: i32 = 0x40_0000;
            call!(libc::SYS_personality, READ_IMPLIES_EXEC)?;
            let page = call!(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)? as *mut u8;
            // SAFETY: a page of its own.
            unsafe { page.copy_from_nonoverlapping(CODE.as_ptr(), CODE.len()) };
            runs(page)
        }),
        attack(Exec, "T80", "a file in memory, written and mapped executable", "memfd_create", |s| {
            let file = call!(libc::SYS_memfd_create, c"code".as_ptr(), 0)?;
            call!(libc::SYS_write, file, s.data, PAGE)?;
            runs(call!(SYS_mmap, 0, PAGE, RX, MAP_PRIVATE, file, 0)? as *const u8)
        }),
        attack(Exec, "T58, T80", "a file in memory, mapped twice", "memfd_create", |_| {
            let file = call!(libc::SYS_memfd_create, c"code".as_ptr(), 0)?;
            call!(libc::SYS_ftruncate, file, PAGE)?;
            let written = call!(SYS_mmap, 0, PAGE, RW, MAP_SHARED, file, 0)? as *mut u8;
            let run = call!(SYS_mmap, 0, PAGE, RX, MAP_SHARED, file, 0)? as *const u8;
            // SAFETY: a page of its own.
            unsafe { written.copy_from_nonoverlapping(CODE.as_ptr(), CODE.len()) };
            runs(run)
        }),
        attack(Exec, "T80", "a file of the grant, mapped executable", "openat", |s| {
            let file = call!(libc::SYS_openat, AT_FDCWD, s.path("rw/code").as_ptr(), libc::O_RDONLY)?;
            runs(call!(SYS_mmap, 0, PAGE, RX, MAP_PRIVATE, file, 0)? as *const u8)
        })
        .with_files(End::Denied("mmap")),
        attack(Exec, "T80", "a shared segment, attached executable", "shmget", |_| {
            let segment = call!(libc::SYS_shmget, libc::IPC_PRIVATE, PAGE, 0o700)?;
            let written = call!(libc::SYS_shmat, segment, 0, 0)? as *mut u8;
            // SAFETY: a page of its own.
            unsafe { written.copy_from_nonoverlapping(CODE.as_ptr(), CODE.len()) };
            let run = call!(libc::SYS_shmat, segment, 0, libc::SHM_EXEC);
            call!(libc::SYS_shmctl, segment, libc::IPC_RMID, 0)?;
            runs(run? as *const u8)
        }),
        attack(Other, "T80", "attach a shared segment of the host", "shmat", |s| {
            call!(libc::SYS_shmat, s.segment, 0, 0).map(drop)
        }),
        attack(Other, "T80", "a shadow stack", "map_shadow_stack", |_| call!(453, 0, PAGE, 0).map(drop))
            .where_available(),
        attack(Other, "T80", "secret memory", "memfd_secret", |_| call!(libc::SYS_memfd_secret, 0).map(drop))
            .where_available(),
        attack(Other, "T80", "pages of a shared mapping in another order", "remap_file_pages", |s| {
            call!(libc::SYS_remap_file_pages, s.shared, PAGE, 0, 1, 0).map(drop)
        }),
    ]
}

fn old_code() -> Vec<Probe> {
    vec![
        attack(Exec, "T80", "make the guest's code writable", "mprotect", |s| {
            call!(SYS_mprotect, s.code, PAGE, RW)?;
            // SAFETY: nothing runs there.
            unsafe { s.code.write(0xcc) };
            Ok(())
        }),
        attack(Exec, "T58, T80", "make the guest's code writable while it stays executable", "mprotect", |s| {
            call!(SYS_mprotect, s.code, PAGE, RW | PROT_EXEC)?;
            // SAFETY: nothing runs there.
            unsafe { s.code.write(0xcc) };
            Ok(())
        }),
        attack(Other, "T80", "unmap the guest's code", "munmap", |s| call!(libc::SYS_munmap, s.code, PAGE).map(drop)),
        attack(Other, "T80", "discard the guest's code", "madvise", |s| {
            call!(libc::SYS_madvise, s.code, PAGE, libc::MADV_DONTNEED)?;
            // SAFETY: the page can be read.
            happened(unsafe { s.code.read() } == 0)
        }),
        attack(Other, "T80", "discard it from a distance (`process_madvise`)", "pidfd_open", |s| {
            let own = call!(libc::SYS_pidfd_open, s.own, 0)?;
            let range = [s.code as u64, PAGE as u64];
            call!(libc::SYS_process_madvise, own, range.as_ptr(), 1, libc::MADV_COLD, 0).map(drop)
        }),
        attack(Other, "T80", "move the guest's code", "mremap", |s| {
            const MAYMOVE_FIXED: i32 = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
            call!(libc::SYS_mremap, s.code, PAGE, PAGE, MAYMOVE_FIXED, s.memory).map(drop)
        }),
        attack(Exec, "T80", "move written pages over the guest's code", "mremap", |s| {
            const MAYMOVE_FIXED: i32 = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
            call!(libc::SYS_mremap, s.data, PAGE, PAGE, MAYMOVE_FIXED, s.code).map(drop)
        }),
        attack(Exec, "T80", "map other pages over the guest's code", "mmap", |s| {
            call!(SYS_mmap, s.code, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0).map(drop)
        }),
        attack(Exec, "T24, T80", "write to the guest's code by `/proc/self/mem`", "openat", |s| {
            let memory = call!(libc::SYS_openat, AT_FDCWD, c"/proc/self/mem".as_ptr(), O_RDWR)?;
            call!(libc::SYS_pwrite64, memory, [0xcc_u8].as_ptr(), 1, s.code)?;
            // SAFETY: the page can be read.
            happened(unsafe { s.code.read() } == 0xcc)
        })
        .with_files(End::Errno(libc::EACCES)),
        attack(Other, "T80", "write to the guest's code by `process_vm_writev`", "process_vm_writev", |s| {
            let byte = 0xcc_u8;
            let (from, to) = ([&raw const byte as u64, 1], [s.code as u64, 1]);
            call!(libc::SYS_process_vm_writev, s.own, from.as_ptr(), 1, to.as_ptr(), 1, 0).map(drop)
        })
        .reached(libc::EFAULT),
        attack(Other, "T100", "a core file, by a bad address", "", |_| {
            // SAFETY: none; it is what ends the process.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
            Ok(())
        })
        .always(End::NoEffect)
        .seen_by(Evidence::Core)
        .where_available(),
        attack(Other, "T100", "a core file, by a bad instruction", "", |_| {
            // SAFETY: none; it is what ends the process.
            unsafe { std::arch::asm!("ud2") };
            Ok(())
        })
        .always(End::NoEffect)
        .seen_by(Evidence::Core)
        .where_available(),
    ]
}
