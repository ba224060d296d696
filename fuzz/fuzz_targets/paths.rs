//! Guest paths: what is admitted cannot lead out before the file system is asked (T14, T26, T27).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wave_monitor::{GuestPath, Last, PATH_MAX_BYTES};

fuzz_target!(|bytes: &[u8]| {
    let Ok(path) = GuestPath::parse(bytes) else { return };
    assert!(!bytes.is_empty() && bytes.len() <= PATH_MAX_BYTES && !bytes.contains(&0));
    for part in [path.whole(), path.parent()] {
        assert!(!part.starts_with(b"/") && part != b".." && !part.starts_with(b"../"));
        assert!(!part.ends_with(b"/"));
    }
    assert_eq!(path.demands_directory(), bytes.ends_with(b"/"));
    let is_component = |part: &&[u8]| !part.is_empty();
    let mut given = bytes.split(|byte| *byte == b'/').filter(is_component);
    let last = match path.last() {
        Last::Name(name) => name,
        Last::Dot => b".",
        Last::DotDot => b"..",
    };
    assert_eq!(given.next_back(), Some(last));
    let significant = |text: &[u8]| -> Vec<Vec<u8>> {
        let parts = text.split(|byte| *byte == b'/').filter(is_component);
        parts.skip_while(|part| *part == b".").map(<[u8]>::to_vec).collect()
    };
    assert_eq!(significant(bytes), significant(path.whole()));
    if let Some(name) = path.single() {
        assert!(!name.contains(&b'/') && name != b"." && name != b"..");
    }
});
