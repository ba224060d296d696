//! The bytes of a subscription, field by field of the two witx files.

use super::config;
use super::inputs::{long, word};
use crate::{Clock, Direction, Errno, Layout, Subscription, Wanted};
use proptest::collection::vec;
use proptest::prelude::*;

/// One subscription as bytes: every field at its offset, padding of any content.
#[derive(Debug, Clone)]
struct Fields {
    userdata: u64,
    tag: u8,
    clock_id: u32,
    timeout: u64,
    flags: u16,
    fd: u32,
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn bytes_of(fields: &Fields, layout: Layout, padding: u8) -> Vec<u8> {
    // Snapshot 0 has a 64-bit identifier in front of the clock.
    let (size, clock) = match layout {
        Layout::Preview1 => (48, 16),
        Layout::Unstable => (56, 24),
    };
    let mut bytes = vec![padding; size];
    put(&mut bytes, 0, &fields.userdata.to_le_bytes());
    put(&mut bytes, 8, &[fields.tag]);
    if fields.tag == 0 {
        put(&mut bytes, clock, &fields.clock_id.to_le_bytes());
        put(&mut bytes, clock + 8, &fields.timeout.to_le_bytes());
        put(&mut bytes, clock + 24, &fields.flags.to_le_bytes());
    } else {
        put(&mut bytes, 16, &fields.fd.to_le_bytes());
    }
    bytes
}

fn meaning(fields: &Fields) -> Result<Subscription, Errno> {
    let wanted = match (fields.tag, fields.clock_id, fields.flags) {
        (0, 0..=3, flags @ 0..=1) => {
            let clock = match fields.clock_id {
                0 => Ok(Clock::Realtime),
                1 => Ok(Clock::Monotonic),
                _ => Err(Errno::NOTSUP),
            };
            Wanted::Clock { clock, timeout: fields.timeout, absolute: flags == 1 }
        }
        (1, ..) => Wanted::Descriptor { fd: fields.fd, direction: Direction::Read },
        (2, ..) => Wanted::Descriptor { fd: fields.fd, direction: Direction::Write },
        _ => return Err(Errno::INVAL),
    };
    Ok(Subscription { userdata: fields.userdata, wanted })
}

fn fields() -> impl Strategy<Value = Fields> {
    let tag = prop_oneof![9 => 0..4u8, 1 => any::<u8>()];
    let flags = prop_oneof![9 => 0..3u16, 1 => any::<u16>()];
    (long(), tag, prop_oneof![0..6u32, word()], long(), flags, word()).prop_map(
        |(userdata, tag, clock_id, timeout, flags, fd)| Fields { userdata, tag, clock_id, timeout, flags, fd },
    )
}

proptest! {
    #![proptest_config(config(2048))]

    #[test]
    fn t10_a_subscription_is_its_fields_and_no_padding(fields in fields(), padding: u8, unstable: bool) {
        let layout = if unstable { Layout::Unstable } else { Layout::Preview1 };
        prop_assert_eq!(Subscription::parse(&bytes_of(&fields, layout, padding), layout), meaning(&fields));
    }

    #[test]
    fn too_few_bytes_are_a_fault_and_no_panic(bytes in vec(any::<u8>(), 0..16), unstable: bool) {
        let layout = if unstable { Layout::Unstable } else { Layout::Preview1 };
        let tag = bytes.get(8).copied().unwrap_or(0);
        let expected = if tag <= 2 { Errno::FAULT } else { Errno::INVAL };
        prop_assert_eq!(Subscription::parse(&bytes, layout), Err(expected));
    }
}
