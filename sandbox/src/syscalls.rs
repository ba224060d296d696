//! Names and numbers of the x86-64 system calls.
//!
//! Source: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux 6.19; numbers are never reused.

use std::collections::BTreeMap;

use wave_policy::{SyscallRule, all_rules};

/// Names of calls 0 to 336, in order. One text, because each slice of a table would cost a relocation at start.
const FROM_0: &str = "\
    read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask \
    rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise \
    shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile socket connect accept \
    sendto recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt \
    clone fork vfork execve exit wait4 kill uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl \
    flock fsync fdatasync truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink \
    symlink readlink chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace \
    getuid syslog getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups \
    setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget capset rt_sigpending \
    rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod uselib personality ustat statfs fstatfs \
    sysfs getpriority setpriority sched_setparam sched_getparam sched_setscheduler sched_getscheduler \
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock munlock mlockall munlockall vhangup \
    modify_ldt pivot_root _sysctl prctl arch_prctl adjtimex setrlimit chroot sync acct settimeofday mount umount2 \
    swapon swapoff reboot sethostname setdomainname iopl ioperm create_module init_module delete_module \
    get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall tuxcall security gettid readahead \
    setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr \
    lremovexattr fremovexattr tkill time futex sched_setaffinity sched_getaffinity set_thread_area io_setup \
    io_destroy io_getevents io_submit io_cancel get_thread_area lookup_dcookie epoll_create epoll_ctl_old \
    epoll_wait_old remap_file_pages getdents64 set_tid_address restart_syscall semtimedop fadvise64 timer_create \
    timer_settime timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime clock_getres \
    clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes vserver mbind set_mempolicy get_mempolicy \
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key request_key \
    keyctl ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat \
    mknodat fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat \
    pselect6 ppoll unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice move_pages \
    utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4 \
    signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open \
    recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at clock_adjtime syncfs \
    sendmmsg setns getcpu process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr \
    renameat2 seccomp getrandom memfd_create kexec_file_load bpf execveat userfaultfd membarrier mlock2 \
    copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq uretprobe uprobe";

/// Names of calls 424 to 470, in order; no call has a number from 337 to 423.
const FROM_424: &str = "\
    pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount \
    fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr \
    quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease \
    futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue \
    statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat \
    listxattrat removexattrat open_tree_attr file_getattr file_setattr listns";

const SECOND_START: usize = 424;

/// The name of a system call. Allocates nothing, because the signal handler calls it.
pub fn name(number: usize) -> Option<&'static str> {
    match number.checked_sub(SECOND_START) {
        Some(index) => FROM_424.split(' ').nth(index),
        None => FROM_0.split(' ').nth(number),
    }
}

/// The numbers of all calls by their names.
pub(crate) fn by_name() -> BTreeMap<&'static str, u32> {
    let all = (0..).zip(FROM_0.split(' ')).chain((424..).zip(FROM_424.split(' ')));
    all.map(|(number, name)| (name, number)).collect()
}

/// The number of the system call with this name. `const`, so that the build fails if the policy table names a call that the
/// kernel does not have.
///
/// # Panics
/// If no call has this name; in a constant this is a compile error.
#[allow(clippy::panic, reason = "runs in the compiler; at run time only in tests")]
pub(crate) const fn number(name: &str) -> i64 {
    match (index_of(FROM_0.as_bytes(), name.as_bytes()), index_of(FROM_424.as_bytes(), name.as_bytes())) {
        (Some(index), _) => index,
        (None, Some(index)) => SECOND_START as i64 + index,
        (None, None) => panic!("the policy table names a system call that x86-64 does not have"),
    }
}

/// The numbers of the table's calls, in the order of its rules.
static NUMBERS: [i64; all_rules().len()] = {
    let mut numbers = [0; all_rules().len()];
    let mut i = 0;
    while i < numbers.len() {
        numbers[i] = number(all_rules()[i].call);
        i += 1;
    }
    numbers
};

/// The number of the call of a rule.
pub(crate) fn number_of(rule: &SyscallRule) -> i64 {
    let position = all_rules().binary_search_by_key(&rule.id, |other| other.id);
    // Every rule is in the table. -1 is the number of no call.
    position.map_or(-1, |index| NUMBERS[index])
}

/// Position of `word` in a text of words that are separated by single spaces.
const fn index_of(text: &[u8], word: &[u8]) -> Option<i64> {
    let (mut index, mut start, mut at) = (0, 0, 0);
    while at <= text.len() {
        if at == text.len() || text[at] == b' ' {
            if is_word(text, start, at, word) {
                return Some(index);
            }
            (index, start) = (index + 1, at + 1);
        }
        at += 1;
    }
    None
}

const fn is_word(text: &[u8], start: usize, end: usize, word: &[u8]) -> bool {
    if end - start != word.len() {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if text[start + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn names_agree_with_libc() {
        let known = [
            ("read", libc::SYS_read),
            ("openat", libc::SYS_openat),
            ("rseq", libc::SYS_rseq),
            ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
            ("openat2", libc::SYS_openat2),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
            ("mseal", libc::SYS_mseal),
        ];
        for (text, expected) in known {
            assert_eq!(number(text), expected);
            assert_eq!(usize::try_from(expected).ok().and_then(name), Some(text));
        }
    }

    #[test]
    fn gaps_and_numbers_past_the_end_have_no_name() {
        assert_eq!(name(336), Some("uprobe"));
        assert_eq!(name(337), None);
        assert_eq!(name(423), None);
        assert_eq!(name(470), Some("listns"));
        assert_eq!(name(471), None);
        assert_eq!(name(usize::MAX), None);
    }

    #[test]
    fn every_name_reads_back_as_its_number() {
        for n in (0..=336).chain(424..=470) {
            let text = name(n).expect("a call without a gap");
            assert_eq!(usize::try_from(number(text)), Ok(n), "{text}");
            assert_eq!(by_name().get(text).map(|n| *n as usize), Some(n), "{text}");
        }
        assert_eq!(by_name().len(), 337 + 47);
    }
}
