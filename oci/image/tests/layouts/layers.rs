//! From layers to the module: what container tools would find, and nothing outside of the image.

use crate::layout::{
    GZIP, Layout, MODULE, TAR, directory, entry, entry_of, extended, file, gzip, hard_link, link, other, tar,
};
use serde_json::json;
use std::ffi::OsStr;
use wave_image::Kind::{Invalid, Missing};

#[track_caller]
fn finds(layers: &[&[Vec<u8>]]) {
    Layout::of(&layers.iter().map(|entries| tar(entries)).collect::<Vec<_>>()).is_found();
}

#[track_caller]
fn refuses(layers: &[&[Vec<u8>]], what: &str) {
    Layout::of(&layers.iter().map(|entries| tar(entries)).collect::<Vec<_>>()).is_refused(Invalid, what, "");
}

#[track_caller]
fn misses(layers: &[&[Vec<u8>]]) {
    let layout = Layout::of(&layers.iter().map(|entries| tar(entries)).collect::<Vec<_>>());
    layout.is_refused(Missing, "cannot find the program `/app.wasm` in the image: it is not there", "");
}

#[test]
fn a_file_is_found_however_its_name_is_written() {
    for name in ["app.wasm", "./app.wasm", "/app.wasm", ".//./app.wasm"] {
        finds(&[&[file(name)]]);
    }
    misses(&[&[file("app.wasm2")]]);
    misses(&[]);
}

#[test]
fn the_last_of_several_counts() {
    finds(&[&[other("app.wasm"), file("app.wasm")]]);
    finds(&[&[other("app.wasm")], &[file("app.wasm")]]);
    finds(&[&[directory("app.wasm"), other("app.wasm/x")], &[file("app.wasm")]]);
    let not_file = "cannot find the program `/app.wasm` in the image: it is not a regular file, or something on the way is not \
                    a directory";
    refuses(&[&[file("app.wasm")], &[directory("app.wasm")]], not_file);
    refuses(&[&[file("app.wasm")], &[entry("app.wasm", b'3', "", b"")]], not_file);
    refuses(&[&[other("app.wasm/x")]], not_file);
}

#[test]
fn deleted_files_are_gone_from_the_layers_below_alone() {
    misses(&[&[file("app.wasm")], &[other(".wh.app.wasm")]]);
    misses(&[&[file("app.wasm")], &[other(".wh..wh..opq")]]);
    finds(&[&[file("app.wasm")], &[other("a/.wh..wh..opq")]]);
    finds(&[&[file("app.wasm")], &[other(".wh.app.wasm2")]]);
    // In the same layer, before and after the file.
    finds(&[&[other("app.wasm")], &[other(".wh.app.wasm"), file("app.wasm")]]);
    finds(&[&[other("app.wasm")], &[file("app.wasm"), other(".wh.app.wasm")]]);
    finds(&[&[other("app.wasm")], &[file("app.wasm"), other(".wh..wh..opq")]]);
    // A directory goes with all beneath it; what is there again, stays.
    let to = link("app.wasm", "d/e/m");
    misses(&[&[to.clone(), file("d/e/m")], &[other(".wh.d")]]);
    misses(&[&[to.clone(), file("d/e/m")], &[directory("d"), other("d/.wh..wh..opq")]]);
    finds(&[&[to.clone(), other("d/e/m")], &[other(".wh.d"), file("d/e/m")]]);
    finds(&[&[to, other("d/e/m")], &[file("d/e/m"), other(".wh.d")]]);
    for nothing in [".wh.", ".wh..", ".wh..."] {
        refuses(
            &[&[file("app.wasm")], &[other(nothing)]],
            &format!("its entry `{nothing}` is refused: it deletes no file"),
        );
    }
    // What aufs kept for itself deletes nothing.
    finds(&[&[file("app.wasm")], &[directory(".wh..wh.plnk"), other(".wh..wh.aufs")]]);
}

#[test]
fn links_lead_to_files_of_the_image_alone() {
    finds(&[&[link("app.wasm", "bin/m"), file("bin/m")]]);
    finds(&[&[link("app.wasm", "/bin/m"), file("bin/m")]]);
    finds(&[&[link("bin", "usr/bin"), link("app.wasm", "bin/m"), file("usr/bin/m")]]);
    // Into a directory that is a link, by a later layer.
    finds(&[&[link("bin", "usr/bin"), link("app.wasm", "usr/bin/m")], &[file("bin/m")]]);
    finds(&[&[file("m"), hard_link("app.wasm", "m")]]);
    finds(&[&[file("m")], &[hard_link("app.wasm", "./m")]]);
    // The root of an image has no parent.
    finds(&[&[link("app.wasm", "../../../../m"), file("m")]]);
    let outside = "/etc/passwd";
    assert!(std::fs::exists(outside).expect("a directory"), "the test needs a file that is there");
    misses(&[&[link("app.wasm", outside)]]);
    misses(&[&[link("app.wasm", "../../../../../../../../etc/passwd")]]);
    misses(&[&[link("d", "/etc"), link("app.wasm", "d/passwd")]]);
    finds(&[&[link("d", "/etc"), link("app.wasm", "d/passwd"), file("etc/passwd")]]);
}

#[test]
fn links_without_an_end_and_to_nothing_are_refused() {
    let far = "cannot find the program `/app.wasm` in the image: its path is too long or has too many links";
    refuses(&[&[link("app.wasm", "app.wasm")]], far);
    refuses(&[&[link("app.wasm", "b"), link("b", "app.wasm")]], far);
    refuses(&[&[link("app.wasm", "app.wasm/../app.wasm")]], far);
    // As many as the kernel follows, and one more.
    let chain = |count: usize| {
        let links = (0..count).map(|at| link(&format!("l{at}"), &format!("l{}", at + 1)));
        links.chain([file(&format!("l{count}")), link("app.wasm", "l0")]).collect::<Vec<_>>()
    };
    finds(&[&chain(39)]);
    refuses(&[&chain(40)], far);
    let nothing = |name: &str| format!("its entry `{name}` is refused: it is a hard link to no file of the image");
    refuses(&[&[hard_link("app.wasm", "m")]], &nothing("app.wasm"));
    refuses(&[&[hard_link("app.wasm", "/etc/passwd")]], &nothing("app.wasm"));
    refuses(&[&[hard_link("app.wasm", "")]], &nothing("app.wasm"));
    refuses(&[&[hard_link("x", "../m")]], "its entry `x` is refused: its path has `..` in it");
}

#[test]
fn paths_that_climb_or_lead_through_files_are_refused() {
    for name in ["../app.wasm", "a/../app.wasm", "/../../app.wasm", ".."] {
        refuses(&[&[file(name)]], &format!("its entry `{name}` is refused: its path has `..` in it"));
    }
    refuses(
        &[&[file("a"), file("a/app.wasm")]],
        "its entry `a/app.wasm` is refused: it is not a regular file, or something on the way is not a directory",
    );
    let deep = "d/".repeat(128) + "m";
    let what = format!("its entry `{deep}` is refused: its path has more than 128 names");
    refuses(&[&[extended(&[("path", &deep)]), file("x")]], &what);
    finds(&[&[extended(&[("path", &("d/".repeat(127) + "m"))]), other("x"), file("app.wasm")]]);
}

#[test]
fn long_names_are_read_in_every_form() {
    let name = "n".repeat(200);
    let to = link("app.wasm", "n");
    let to_long = [extended(&[("linkpath", &name)]), link("app.wasm", "x")].concat();
    finds(&[&[to_long.clone(), extended(&[("path", &name)]), file("x")]]);
    let gnu = |kind: u8| entry("././@LongLink", kind, "", format!("{name}\0").as_bytes());
    finds(&[&[gnu(b'K'), link("app.wasm", "x"), gnu(b'L'), file("x")]]);
    // An empty value is none.
    finds(&[&[to, extended(&[("path", "")]), file("n")]]);
    let mut prefixed = file("m");
    prefixed[345..348].copy_from_slice(b"a/b");
    let sum: u32 = prefixed[..512].iter().map(|byte| u32::from(*byte)).sum();
    let old: u32 = prefixed[148..156].iter().map(|byte| u32::from(*byte)).sum();
    prefixed[148..156].copy_from_slice(format!("{:06o}\0 ", sum - old + 8 * 32).as_bytes());
    finds(&[&[link("app.wasm", "a/b/m"), prefixed]]);
}

#[test]
fn lengths_are_those_of_the_archive_and_no_larger() {
    let data = [MODULE, &[0; 504]].concat();
    let of = |len: &[u8]| entry_of("app.wasm", b'0', "", len, &data);
    finds(&[&[of(b"00000000010\0")]]);
    // In base 256.
    finds(&[&[of(b"\x80\0\0\0\0\0\0\0\0\0\0\x08")]]);
    finds(&[&[extended(&[("size", "8")]), of(b"00000001000\0")]]);
    for len in [&b"77777777777\0"[..], b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", b"00000010000\0"] {
        refuses(&[&[of(len)]], "the archive is truncated, at byte 512");
    }
    for len in
        [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\x80\x01\0\0\0\0\0\0\0\0\0\0", b"-0000000010\0"]
    {
        refuses(&[&[of(len)]], "a length is not a number, at byte 0");
    }
    refuses(&[&[extended(&[("size", "18446744073709551615")]), of(b"0\0")]], "the archive is truncated, at byte 1536");
    for size in ["18446744073709551616", "-1", "+8", "0x8", " 8"] {
        refuses(&[&[extended(&[("size", size)]), of(b"0\0")]], "an extended header is malformed, at byte 0");
    }
}

#[test]
fn extended_headers_are_bounded_and_well_formed() {
    let absurd = |kind: u8, len: &[u8]| entry_of("x", kind, "", len, &[b'x'; 512]);
    for kind in *b"xgLK" {
        refuses(&[&[absurd(kind, b"77777777777\0"), file("app.wasm")]], "the archive is truncated, at byte 512");
        refuses(
            &[&[absurd(kind, b"\xff\0\0\0\0\0\0\0\0\0\0\0"), file("app.wasm")]],
            "a length is not a number, at byte 0",
        );
    }
    let long = entry("x", b'L', "", &vec![b'n'; 1 << 20]);
    refuses(&[&[long, file("app.wasm")]], "an extended header is longer than 1 MiB, at byte 0");
    // Many short ones before one entry.
    let many = extended(&[("comment", "x")]).repeat(2000);
    refuses(&[&[many, file("app.wasm")]], "an extended header is longer than 1 MiB, at byte 2044928");
    finds(&[&[extended(&[("comment", "x")]).repeat(1900), file("app.wasm")]]);
    for records in
        ["x", "5 a=b", "7 a=b\n", "6 ab=\n5 a=b\n", "0 a=b\n", "999999999999999999999 a=b\n", "4 a\n", " a=b\n", "\0"]
    {
        let header = entry("x", b'x', "", records.as_bytes());
        refuses(&[&[header, file("app.wasm")]], "an extended header is malformed, at byte 0");
    }
    for (key, value) in [("path", "x"), ("linkpath", "x"), ("size", "1")] {
        let mut global = extended(&[(key, value)]);
        global[156] = b'g';
        global[155] = b' ';
        let sum: u32 = global[..148].iter().chain(&global[156..512]).map(|byte| u32::from(*byte)).sum::<u32>() + 256;
        global[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        refuses(&[&[global, file("app.wasm")]], "a global header changes names or lengths, at byte 0");
    }
    refuses(&[&[extended(&[("path", "x")])]], "the archive ends before the entry of an extended header, at byte 1024");
    let path = "p".repeat(4097);
    let long = "a path is longer than 4096 bytes or has a zero in it, at byte 5120";
    refuses(&[&[extended(&[("path", &path)]), file("x")]], long);
    refuses(
        &[&[extended(&[("path", "a\0b")]), file("x")]],
        "a path is longer than 4096 bytes or has a zero in it, at byte 1024",
    );
}

#[test]
fn sparse_and_unknown_entries_are_refused() {
    refuses(&[&[entry("app.wasm", b'S', "", MODULE)]], "sparse files are not supported, at byte 0");
    let sparse = extended(&[("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "1099511627776")]);
    refuses(&[&[sparse, file("app.wasm")]], "sparse files are not supported, at byte 0");
    refuses(&[&[entry("app.wasm", b'M', "", MODULE)]], "an entry is of an unknown kind, at byte 0");
}

#[test]
fn damaged_archives_are_refused() {
    let layout = |bytes: &[u8]| Layout::of(&[bytes.to_vec()]);
    let good = tar(&[file("app.wasm")]);
    layout(&good).is_found();
    // The end of the archive may be missing, as for Go.
    layout(&good[..1024]).is_found();
    layout(&good[..1536]).is_found();
    layout(&good[..511]).is_refused(Invalid, "the archive is truncated, at byte 0", "blobs/sha256/");
    layout(&good[..515]).is_refused(Invalid, "the archive is truncated, at byte 512", "blobs/sha256/");
    let mut wrong = good.clone();
    wrong[0] ^= 1;
    layout(&wrong).is_refused(Invalid, "the checksum of a header is wrong, at byte 0", "blobs/sha256/");
    let hidden = [vec![0; 512], file("app.wasm")].concat();
    let followed = "a block of zeros is followed by something else, at byte 0";
    layout(&hidden).is_refused(Invalid, followed, "blobs/sha256/");
}

#[test]
fn packed_layers_are_unpacked_and_bombs_are_not() {
    let packed = |bytes: &[u8]| {
        let layout = Layout::new();
        let layer = layout.blob(GZIP, bytes);
        layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[layer]);
        layout
    };
    let good = gzip(&tar(&[file("app.wasm")]));
    packed(&good).is_found();
    let refused = |bytes: &[u8], what: &str| packed(bytes).is_refused(Invalid, what, "blobs/sha256/");
    refused(&good[..good.len() - 1], "it is not valid gzip: it ends too early");
    refused(&good[..10], "it is not valid gzip: it ends too early");
    refused(&tar(&[file("app.wasm")]), "it is not valid gzip: it does not start as gzip does");
    let mut wrong = good;
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    refused(&wrong, "it is not valid gzip: its checksum is wrong");
    // One MiB of zeros takes one KiB; 1025 of them are more than 1 GiB.
    let bomb = gzip(&vec![0; 1 << 20]).repeat(1025);
    refused(&bomb, "the layers of the image are more than 1 GiB, unpacked");
}

#[test]
fn other_kinds_of_layers_are_refused() {
    let of = |media_type: &str| {
        let layout = Layout::new();
        let layer = layout.blob(media_type, &tar(&[file("app.wasm")]));
        layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[layer]);
        layout
    };
    of(TAR).is_found();
    of("application/vnd.oci.image.layer.nondistributable.v1.tar").is_found();
    let zstd = "the layer is packed with zstd, which is not supported";
    of(&format!("{TAR}+zstd")).is_refused(Invalid, zstd, "blobs/sha256/");
    for other in
        ["application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+encrypted", ""]
    {
        of(other).is_refused(Invalid, &format!("the layer is a `{other}`, which is not supported"), "blobs/sha256/");
    }
}

#[test]
fn the_program_is_found_as_container_tools_find_it() {
    let find = |config, given: &[&str]| {
        let layout = Layout::new();
        let files = tar(&[file("app.wasm"), other("usr/bin/tool"), other("work/app"), other("opt/tool")]);
        let layer = layout.blob(TAR, &files);
        layout.image(config, &[layer]);
        let image = layout.read_tag(None).expect("an image");
        let given: Vec<_> = given.iter().map(Into::into).collect();
        let command = image.command(&given);
        let found = image.find(command.first().map(OsStr::new));
        (
            command.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" "),
            found.map(|found| found.module),
        )
    };
    let (module, rest) = (Ok(MODULE.to_vec()), Ok(b"other".to_vec()));
    let entry = json!({ "Entrypoint": ["/app.wasm", "a"], "Cmd": ["b"] });
    assert_eq!(find(entry.clone(), &[]), ("/app.wasm a b".into(), module.clone()));
    assert_eq!(find(entry, &["c", "d"]), ("/app.wasm a c d".into(), module.clone()));
    let command = json!({ "Cmd": ["app.wasm", "b"], "Entrypoint": null });
    assert_eq!(find(command.clone(), &[]), ("app.wasm b".into(), module));
    assert_eq!(find(command.clone(), &["tool"]), ("tool".into(), rest.clone()));
    assert_eq!(find(json!({ "Cmd": ["app"], "WorkingDir": "/work" }), &[]).1, rest);
    assert_eq!(find(json!({ "Cmd": ["./app"], "WorkingDir": "/work" }), &[]).1, rest);
    assert_eq!(find(json!({ "Cmd": ["tool"], "Env": ["PATH=/none:/opt"] }), &[]).1, rest);
    let (_, missing) = find(command, &["--help"]);
    let missing = missing.expect_err("a refusal");
    assert_eq!(missing.what, "cannot find the program `--help` in the image: it is not there");
    assert_eq!(
        missing.fix,
        "the image has no entry point, so the first argument names the program, as with `podman run`"
    );
    let (_, nothing) = find(json!({}), &[]);
    let nothing = nothing.expect_err("a refusal");
    assert_eq!(nothing.what, "the image names no program: it has neither an entry point nor a command");
}

#[test]
fn other_files_are_counted() {
    let layout =
        Layout::of(&[tar(&[file("app.wasm"), other("a"), directory("b"), link("c", "a"), hard_link("d", "a")])]);
    assert_eq!(layout.find().expect("a module").other_files, 2);
}
