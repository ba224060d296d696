//! Results with lists: environment, arguments, random bytes.

use crate::machine::{HEAP, Machine, put};

const OUT: u32 = 0x100;
const ENVIRONMENT: &str = "cli/environment#get-environment";
const ARGUMENTS: &str = "cli/environment#get-arguments";

/// A machine whose arguments or variables are `texts`, each with its zero.
fn with(texts: &[&[u8]]) -> Machine {
    let mut machine = Machine::new();
    let count = u32::try_from(texts.len()).unwrap_or(0);
    let block: Vec<u8> = texts.iter().flat_map(|text| [text, &b"\0"[..]].concat()).collect();
    for (sizes, all) in [("args_sizes_get", "args_get"), ("environ_sizes_get", "environ_get")] {
        let len = u32::try_from(block.len()).unwrap_or(0);
        machine.on(sizes, move |own, arguments| {
            put(own, arguments[0], &count.to_le_bytes());
            put(own, arguments[1], &len.to_le_bytes());
            0
        });
        let block = block.clone();
        machine.on(all, move |own, arguments| {
            // Pointers that are wrong: nobody reads them.
            put(own, arguments[0], &vec![0xff; 4 * count as usize]);
            put(own, arguments[1], &block);
            0
        });
    }
    machine
}

fn environment(machine: &mut Machine) -> Result<Vec<(String, String)>, String> {
    machine.call(ENVIRONMENT, &[OUT.into()])?;
    let at = machine.word(OUT);
    Ok((0..machine.word(OUT + 4))
        .map(|index| (machine.text(at + 16 * index), machine.text(at + 16 * index + 8)))
        .collect())
}

fn arguments(machine: &mut Machine) -> Result<Vec<String>, String> {
    machine.call(ARGUMENTS, &[OUT.into()])?;
    let at = machine.word(OUT);
    Ok((0..machine.word(OUT + 4)).map(|index| machine.text(at + 8 * index)).collect())
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn t113_the_environment_is_what_preview_1_has() {
    let mut machine = with(&[b"A=1", b"LONG=a=b=c", b"EMPTY=", b"=x", b"none", b"", "Ü=ß€😀".as_bytes()]);
    assert_eq!(
        environment(&mut machine),
        Ok(vec![
            pair("A", "1"),
            pair("LONG", "a=b=c"),
            pair("EMPTY", ""),
            pair("", "x"),
            pair("none", ""),
            pair("", ""),
            pair("Ü", "ß€😀")
        ])
    );
    let calls = machine.calls();
    assert_eq!(calls[..3], ["environ_sizes_get 0x100 0x104", "environ_get 0x61000 0x6101c", "realloc 4 112"]);
    assert_eq!(calls[3..5], ["realloc 1 1", "realloc 1 1"]);
    assert_eq!(calls.len(), 3 + 14);
    assert_eq!(environment(&mut with(&[])), Ok(vec![]));
}

#[test]
fn t113_arguments_are_what_preview_1_has() {
    let mut machine = with(&[b"program", b"", "a b=ß".as_bytes()]);
    assert_eq!(arguments(&mut machine), Ok(vec!["program".to_owned(), String::new(), "a b=ß".to_owned()]));
    assert_eq!(
        machine.calls(),
        [
            "args_sizes_get 0x100 0x104",
            "args_get 0x61000 0x6100c",
            "realloc 4 24",
            "realloc 1 7",
            "realloc 1 0",
            "realloc 1 6"
        ]
    );
    assert_eq!(arguments(&mut with(&[])), Ok(vec![]));
}

/// Own memory grows for what is larger than it.
#[test]
fn long_lists_are_whole() {
    let long = "x".repeat(200_000);
    let mut machine = with(&[long.as_bytes(), b"y"]);
    assert_eq!(arguments(&mut machine), Ok(vec![long, "y".to_owned()]));
    let many: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let mut machine = with(&many.iter().map(String::as_bytes).collect::<Vec<_>>());
    assert_eq!(arguments(&mut machine), Ok(many));
    // More than the guest has memory for: that is for its realloc to say, or a trap.
    let large = vec![b'x'; 2 << 20];
    assert_eq!(
        arguments(&mut with(&[&large])),
        Err("a realloc that answers what is not aligned or not in memory".to_owned())
    );
}

#[test]
fn what_is_not_utf_8_is_a_trap() {
    let wrong: [&[u8]; 13] = [
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc2",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"\xe2\x82",
        b"\xe2\x28\xa1",
    ];
    let right: [&[u8]; 8] = [
        b"\x7f",
        b"\xc2\x80",
        b"\xdf\xbf",
        b"\xe0\xa0\x80",
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        b"\xf0\x90\x80\x80",
        b"\xf4\x8f\xbf\xbf",
    ];
    for before in ["", "1234567", "12345678", "123456789"] {
        for (texts, are_right) in [(&wrong[..], false), (&right, true)] {
            for text in texts {
                let text = [before.as_bytes(), text].concat();
                let expected = match String::from_utf8(text.clone()) {
                    Ok(text) => Ok(vec![text]),
                    Err(_) => Err("text of the host that is not utf 8".to_owned()),
                };
                assert_eq!(expected.is_ok(), are_right);
                assert_eq!(arguments(&mut with(&[&text])), expected, "{text:x?}");
                assert_eq!(environment(&mut with(&[&text])).is_ok(), are_right, "{text:x?}");
            }
        }
    }
}

/// Each sequence of two bytes, and some thousand longer ones, against the standard library.
#[test]
fn utf_8_is_what_the_standard_library_says() {
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    // Bytes at the edges of the rules.
    let edges = [
        0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
        0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    let mut texts: Vec<Vec<u8>> =
        edges.iter().flat_map(|first| edges.iter().map(|second| vec![*first, *second])).collect();
    for _ in 0..1000 {
        let len = random() % 12 + 1;
        texts.push((0..len).map(|_| edges[usize::try_from(random()).unwrap_or(0) % edges.len()]).collect());
        let scalar = char::from_u32(u32::try_from(random() % 0x11_0000).unwrap_or(0)).unwrap_or('a');
        texts.push(format!("abc{scalar}def").into_bytes());
    }
    let mut both = [0, 0];
    for text in texts {
        let is_right = std::str::from_utf8(&text).is_ok();
        both[usize::from(is_right)] += 1;
        assert_eq!(arguments(&mut with(&[&text])).is_ok(), is_right, "{text:x?}");
    }
    assert!(both[0] > 500 && both[1] > 500, "{both:?}");
}

#[test]
fn there_is_no_initial_directory() {
    let mut machine = Machine::new();
    machine.set_guest(OUT, &[0xaa; 4]);
    assert_eq!(machine.call("cli/environment#initial-cwd", &[OUT.into()]), Ok(0));
    assert_eq!(machine.guest(OUT, 4), [0, 0xaa, 0xaa, 0xaa]);
}

#[test]
fn t120_results_are_aligned_and_in_memory() {
    let end = u64::from(HEAP) * 8;
    for name in [ENVIRONMENT, ARGUMENTS, "cli/environment#initial-cwd"] {
        let mut machine = with(&[b"A=1"]);
        assert_eq!(machine.call(name, &[0x102]), Err("a pointer that is not aligned".to_owned()), "{name}");
        assert_eq!(machine.calls(), [""; 0]);
        assert_eq!(machine.call(name, &[end]), Err("out of bounds memory access".to_owned()), "{name}");
        assert_eq!(machine.call(name, &[end - 12]), Ok(0), "{name}");
    }
    for name in [ENVIRONMENT, ARGUMENTS] {
        let mut machine = with(&[b"A=1"]);
        machine.set_realloc(Some(HEAP + 2));
        assert_eq!(
            machine.call(name, &[OUT.into()]),
            Err("a realloc that answers what is not aligned or not in memory".to_owned())
        );
    }
}

// ---- random ----

/// `random_get`, which counts.
fn counting() -> impl FnMut(&mut [u8], &[u64]) -> u32 {
    let mut next = 0_u32;
    move |own, arguments| {
        let bytes: Vec<u8> = (0..arguments[1])
            .map(|_| {
                next += 1;
                u8::try_from(next % 251).unwrap_or(0)
            })
            .collect();
        put(own, arguments[0], &bytes);
        0
    }
}

#[test]
fn t116_random_bytes_are_those_of_the_host() {
    for name in ["random/random#get-random-bytes", "random/insecure#get-insecure-random-bytes"] {
        for (len, parts) in [(0, &[][..]), (1, &[1]), (0x10000, &[0x10000]), (100_000, &[0x10000, 100_000 - 0x10000])] {
            let mut machine = Machine::new();
            machine.on("random_get", counting());
            assert_eq!(machine.call(name, &[len, OUT.into()]), Ok(0));
            let calls: Vec<_> = [format!("realloc 1 {len}")]
                .into_iter()
                .chain(parts.iter().map(|part| format!("random_get 0x1000 {part:#x}")))
                .collect();
            assert_eq!(machine.calls(), calls);
            let expected: Vec<u8> = (1..=len).map(|number| u8::try_from(number % 251).unwrap_or(0)).collect();
            assert_eq!(machine.list(OUT), expected, "{name} {len}");
        }
    }
    let mut machine = Machine::new();
    machine.on("random_get", counting());
    assert_eq!(machine.call("random/random#get-random-u64", &[]), Ok(0x0807_0605_0403_0201));
    assert_eq!(machine.call("random/insecure#get-insecure-random-u64", &[]), Ok(0x100f_0e0d_0c0b_0a09));
    assert_eq!(machine.call("random/insecure-seed#insecure-seed", &[0x200]), Ok(0));
    assert_eq!((machine.long(0x200), machine.long(0x208)), (0x1817_1615_1413_1211, 0x201f_1e1d_1c1b_1a19));
    // The seed stays.
    machine.set_guest(0x200, &[0; 16]);
    machine.calls();
    assert_eq!(machine.call("random/insecure-seed#insecure-seed", &[0x200]), Ok(0));
    assert_eq!((machine.long(0x200), machine.long(0x208)), (0x1817_1615_1413_1211, 0x201f_1e1d_1c1b_1a19));
    assert_eq!(machine.calls(), [""; 0]);
    assert_eq!(
        machine.call("random/insecure-seed#insecure-seed", &[0x204]),
        Err("a pointer that is not aligned".to_owned())
    );
}

#[test]
fn t117_a_list_that_is_too_long_is_a_trap_and_never_short() {
    let name = "random/random#get-random-bytes";
    let mut machine = Machine::new();
    machine.on("random_get", counting());
    for len in [u64::MAX, 1 << 32, 1 << 28] {
        assert_eq!(machine.call(name, &[len, OUT.into()]), Err("a list that is too long".to_owned()));
    }
    assert_eq!(machine.calls(), [""; 0]);
    // The longest list is what the guest has no room for here.
    for len in [(1 << 28) - 1, u64::from(HEAP) * 7 + 1] {
        let mut machine = Machine::new();
        assert_eq!(
            machine.call(name, &[len, OUT.into()]),
            Err("a realloc that answers what is not aligned or not in memory".to_owned())
        );
        assert_eq!(machine.calls(), [format!("realloc 1 {len}")]);
    }
    let mut machine = Machine::new();
    machine.on("random_get", counting());
    assert_eq!(machine.call(name, &[u64::from(HEAP) * 7, OUT.into()]), Ok(0));

    let mut machine = Machine::new();
    machine.on("random_get", |_, _| 29);
    for (name, arguments) in [(name, &[1, OUT.into()][..]), ("random/random#get-random-u64", &[])] {
        assert_eq!(machine.call(name, arguments), Err("the host failed".to_owned()), "{name}");
    }
}
