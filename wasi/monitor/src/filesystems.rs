//! File systems that are interfaces of the kernel.

use crate::{Errno, Rule};

/// Magic numbers of file systems that no guest may use, under any grant: from `linux/magic.h`, and
/// the last five from their sources (`fs/nfsd`, `net/sunrpc`, `usb/gadget`, `arch/s390`).
///
/// `/proc/self/mem` alone would defeat every other layer (T24).
const KERNEL_INTERFACES: [u64; 28] = [
    0x9fa0,      // proc
    0x9fa1,      // openprom, device tree
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x1cd1,      // devpts
    0x4249_4e4d, // binfmt_misc
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x1980_0202, // mqueue
    0x6e73_6673, // nsfs
    0x6573_5543, // fusectl
    0x0765_5821, // resctrl
    0xabba_1974, // xenfs, on /proc/xen
    0x5a3c_69f0, // apparmorfs
    0x6c6f_6f70, // binder
    0x6e66_7364, // nfsd, on /proc/fs/nfsd
    0x6759_6969, // rpc_pipefs
    0x0a64_7361, // functionfs
    0xaee7_1ee7, // gadgetfs
    0x0068_7970, // hypfs
];

/// Decides whether files of a file system with this magic number may be opened.
///
/// # Errors
/// [`Errno::NOTCAPABLE`] for those that expose the kernel instead of storing data.
#[inline(never)]
pub fn admit_filesystem(magic: u64) -> Result<(), Errno> {
    if KERNEL_INTERFACES.contains(&magic) { Err(Errno::NOTCAPABLE.because(Rule::KernelInterface)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t24_proc_and_sysfs_are_refused_and_disks_are_not() {
        assert_eq!(admit_filesystem(0x9fa0), Err(Errno::NOTCAPABLE));
        assert_eq!(admit_filesystem(0x6265_6572), Err(Errno::NOTCAPABLE));
        for stored in [0xef53, 0x0102_1994, 0x794c_7630, 0x9123_683e, 0x5846_5342] {
            assert_eq!(admit_filesystem(stored), Ok(()));
        }
    }
}
