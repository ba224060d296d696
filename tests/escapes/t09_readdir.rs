//! T9: `fd_readdir` with any buffer and any cookie.

use crate::host::Host;
use crate::script::script;
use wave_test_support::Mode;

const LENGTHS: [u32; 12] = [0, 1, 8, 23, 24, 25, 26, 47, 300, 1000, 4096, 0x5000];

/// T9: each length with each of these and of the cookies in between; most of them were never given out.
const COOKIES: [u64; 16] =
    [0, 1, 2, 3, 17, 255, 256, 402, 403, 404, 1 << 31, (1 << 32) + 1, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];

/// T9: a call stays in its buffer and says how much it used; a made-up cookie is the end of the listing or refused.
#[test]
fn any_buffer_and_any_cookie() {
    let mut lines = String::from("start\n");
    for len in LENGTHS {
        for cookie in COOKIES {
            lines += &format!(
                "fill 0x1000 0x5100 0xaa\n fd_readdir 3 0x1000 {len} {} OUT = ANY\n bytes {} 16 = {}\n show [OUT] = ANY\n",
                cookie.cast_signed(),
                0x1000 + len,
                "aa".repeat(16)
            );
        }
    }
    // Going on where the listing was still works.
    lines += "within 2000\n fd_readdir 3 0x1000 24 1 OUT\n show [OUT] = 24\n fd_readdir 0 BUF 24 0 OUT = NOTDIR\n";
    let host = Host::new();
    for number in 0..400 {
        host.write(&format!("grant/n{number}"), "");
    }
    for mode in Mode::ALL {
        let seen = script(&lines).run(host.granted(*mode, "ro"));
        let calls = seen.iter().filter(|(line, _)| line.starts_with("fd_readdir 3 0x1000"));
        let used = seen.iter().filter(|(line, _)| line.starts_with("show"));
        for ((call, errno), (_, used)) in calls.zip(used) {
            let words: Vec<_> = call.split(' ').collect();
            let (len, cookie): (u64, i64) = (words[3].parse().unwrap(), words[4].parse().unwrap());
            let used: u64 = used.parse().unwrap();
            assert!(used <= len, "{call}: {used}");
            // There are 404 entries, `.` and `..` included.
            match (&**errno, cookie) {
                ("0", 0..404) => assert_eq!(used == 0, len == 0, "{call}"),
                ("0", _) => {}
                ("28", 0..=404) | (_, 0..=404) => panic!("{call}: {errno}"),
                ("28", _) => {}
                _ => panic!("{call}: {errno}"),
            }
        }
    }
}
