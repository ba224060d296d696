//! `oci:DIR[:TAG]` and `wave pack`, from the command line. Layouts of every hostile kind are in oci/image/tests.

use crate::inputs::is_in_proportion;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use wave_test_support::user::User;
use wave_test_support::{
    Outcome, as_root, assert_tree, copy_program, finish, has_program, open_to_all, source, tree, writable_dir,
};

const GREETING: &str = "Hello from inside the sandbox!\n";

/// Prints its arguments and its environment, one a line.
const WORDS: &str = r#"(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $print (param $len i32) (local $at i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $at) (local.get $len)))
      (if (i32.eqz (i32.load8_u offset=4096 (local.get $at)))
        (then (i32.store8 offset=4096 (local.get $at) (i32.const 10))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (i32.store (i32.const 16) (i32.const 4096))
    (i32.store (i32.const 20) (local.get $len))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))
  (func (export "_start")
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 1024) (i32.const 4096)))
    (call $print (i32.load (i32.const 4)))
    (drop (call $env_sizes (i32.const 0) (i32.const 4)))
    (drop (call $env (i32.const 1024) (i32.const 4096)))
    (call $print (i32.load (i32.const 4))))
  (func (export "nothing")))"#;

/// A directory that every user may write, with `wave` and two modules.
fn place() -> TempDir {
    let dir = writable_dir();
    copy_program(env!("CARGO_BIN_EXE_wave").as_ref(), dir.path());
    fs::copy(source("examples/hello.wat"), dir.path().join("hello.wat")).expect("own directory");
    fs::write(dir.path().join("words.wat"), WORDS).expect("own directory");
    for name in ["hello.wat", "words.wat"] {
        open_to_all(&dir.path().join(name));
    }
    dir
}

fn run_in(dir: &Path, user: User, command: &mut Command) -> Outcome {
    user.runs(command);
    command.current_dir(dir).env_remove("HOME").env_remove("XDG_CACHE_HOME");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("it starts"))
}

fn own() -> User {
    User::available()[0]
}

fn wave<A: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = A>) -> Outcome {
    run_in(dir, own(), Command::new(dir.join("wave")).args(args))
}

/// Packs a module, and asserts that this worked.
#[track_caller]
fn pack(dir: &Path, words: &[&str]) {
    let outcome = wave(dir, [&["pack", "-o", "out"], words].concat());
    assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""), "{outcome:?}");
}

/// The blob of the layout `out` whose bytes contain a text.
fn blob(dir: &Path, has: &[u8]) -> PathBuf {
    let blobs = fs::read_dir(dir.join("out/blobs/sha256")).expect("own directory");
    let mut paths = blobs.map(|entry| entry.expect("an entry").path());
    paths.find(|path| fs::read(path).expect("own file").windows(has.len()).any(|part| part == has)).expect("a blob")
}

/// Writes a module in binary form: an artifact has it as a blob.
fn binary(dir: &Path, text: &str, name: &str) {
    let outcome = wave(dir, ["pack", "-o", "artifact", "--format", "artifact", text]);
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    let blobs = fs::read_dir(dir.join("artifact/blobs/sha256")).expect("own directory");
    let mut blobs = blobs.map(|entry| fs::read(entry.expect("an entry").path()).expect("own file"));
    let module = blobs.find(|bytes| bytes.starts_with(b"\0asm")).expect("a module");
    fs::write(dir.join(name), module).expect("own directory");
    open_to_all(&dir.join(name));
}

/// Changes a text in the configuration of the only image, and all that follows from it.
fn configure(dir: &Path, config: &str) {
    let find = |text: &str, key: &str| {
        let start = text.find(key).expect("a key") + key.len();
        text[start..start + 71].to_owned()
    };
    let read = |name: &str| fs::read_to_string(dir.join("out").join(name)).expect("own file");
    let at = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
    let put = |text: &str| {
        let digest = wave_image::Digest::of(text.as_bytes()).to_string();
        fs::write(dir.join("out").join(at(&digest)), text).expect("own directory");
        digest
    };
    let index = read("index.json");
    let old = find(&index, r#""digest":""#);
    let manifest = read(&at(&old));
    let old_config = find(&manifest, r#""config":{"digest":""#);
    let size = |text: &str| format!(r#""size":{}"#, text.len());
    let text = read(&at(&old_config));
    let (before, rest) = text.split_once(r#""config":{"#).expect("a configuration");
    let changed = format!(r#"{before}"config":{{{config}{}"#, &rest[rest.find('}').expect("an end")..]);
    let new = manifest.replace(&old_config, &put(&changed)).replacen(&size(&text), &size(&changed), 1);
    let index = index.replace(&old, &put(&new)).replacen(&size(&manifest), &size(&new), 1);
    fs::write(dir.join("out/index.json"), index).expect("own file");
}

#[test]
fn a_packed_module_runs_in_both_forms_for_every_user() {
    for user in User::available() {
        let dir = place();
        for (tag, format) in [("image", "image"), ("artifact", "artifact")] {
            let mut packing = Command::new(dir.path().join("wave"));
            let outcome = run_in(
                dir.path(),
                *user,
                packing.args(["pack", "-o", "out", "--tag", tag, "--format", format, "hello.wat"]),
            );
            assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""), "{outcome:?}");
            assert!(outcome.stdout.starts_with(&format!("oci:out:{tag} sha256:")), "{outcome:?}");
            for command in [&["run"][..], &["--sandbox", "strict", "run"], &["run", "--no-cache"], &[]] {
                let mut running = Command::new(dir.path().join("wave"));
                let outcome = run_in(dir.path(), *user, running.args(command).arg(format!("oci:out:{tag}")));
                outcome.is(0, GREETING, "");
            }
        }
    }
}

#[test]
fn every_command_takes_an_image_as_a_module() {
    let dir = place();
    pack(dir.path(), &["hello.wat"]);
    binary(dir.path(), "hello.wat", "hello.wasm");
    for words in [
        &["inspect"][..],
        &["audit"],
        &["verify"],
        &["compile", "--discard"],
        &["compile", "-o", "hello.wave"],
        &["policy", "gen"],
        &["run", "--dry-run"],
        &["run", "--outcome", "outcome.json"],
        &["learn", "-o", "learned.toml"],
    ] {
        let of = |module: &str| wave(dir.path(), [words, &[module]].concat());
        let image = of("oci:out");
        assert_eq!(image.status.code(), Some(0), "{words:?}: {image:?}");
        // Reports give the name of the module and times; the rest is the same for the file.
        let file = of("hello.wasm");
        assert_eq!(image.stdout.lines().count(), file.stdout.lines().count(), "{words:?}: {image:?}");
    }
    wave(dir.path(), ["run", "hello.wave"]).is(0, GREETING, "");
    // The policy pins the module, which is the same file in the image and out of it.
    let policy = wave(dir.path(), ["policy", "gen", "oci:out"]).stdout;
    fs::write(dir.path().join("p.toml"), policy).expect("own directory");
    wave(dir.path(), ["run", "--policy", "p.toml", "oci:out"]).is(0, GREETING, "");
    wave(dir.path(), ["policy", "check", "p.toml", "oci:out"]).is(0, "", "");
    pack(dir.path(), &["--tag", "words", "words.wat"]);
    let other = wave(dir.path(), ["run", "--policy", "p.toml", "oci:out:words"]);
    assert_eq!(other.status.code(), Some(125), "{other:?}");
    assert!(other.stderr.starts_with("wave: `oci:out:words` is not the module of this policy"), "{other:?}");
}

#[test]
fn words_and_variables_of_an_image_are_defaults() {
    let dir = place();
    pack(dir.path(), &["words.wat"]);
    let run = |words: &[&str], args: &[&str]| wave(dir.path(), [&["run"], words, &["oci:out"], args].concat());
    run(&[], &[]).is(0, "/words.wasm\n", "");
    run(&["--env", "B=flag"], &["x", "--y"]).is(0, "/words.wasm\nx\n--y\nB=flag\n", "");
    configure(
        dir.path(),
        r#""Cmd":["default"],"Entrypoint":["/words.wasm","first"],"Env":["A=image","B=image","A=last","none","=none"]"#,
    );
    run(&[], &[]).is(0, "/words.wasm\nfirst\ndefault\nB=image\nA=last\n", "");
    run(&["--env", "A=flag"], &["x"]).is(0, "/words.wasm\nfirst\nx\nB=image\nA=flag\n", "");
    run(&["--argv0", "own"], &[]).is(0, "own\nfirst\ndefault\nB=image\nA=last\n", "");
    fs::write(dir.path().join("p.toml"), "version = 1\nextends = \"cli\"\n[env.set]\nA = \"policy\"\n")
        .expect("own directory");
    run(&["--policy", "p.toml"], &[]).is(0, "/words.wasm\nfirst\ndefault\nB=image\nA=policy\n", "");
    configure(dir.path(), r#""Entrypoint":["/words.wasm"],"WorkingDir":"/data/sub""#);
    fs::create_dir_all(dir.path().join("data/sub")).expect("own directory");
    run(&[], &[]).is(0, "/words.wasm\n", "");
    run(&["--dir", "data::/other::ro"], &[]).is(0, "/words.wasm\n", "");
    run(&["--dir", "data::/data::ro"], &[]).is(0, "/words.wasm\nPWD=/data/sub\n", "");
    run(&["--dir", "data::/data::ro", "--cwd", "/data"], &[]).is(0, "/words.wasm\nPWD=/data\n", "");
    // Words after the image are those of the export.
    run(&["--invoke", "nothing"], &[]).is(0, "", "");
    configure(dir.path(), r#""Cmd":["/words.wasm","default"]"#);
    run(&[], &[]).is(0, "/words.wasm\ndefault\n", "");
    run(&[], &["words.wasm", "x"]).is(0, "words.wasm\nx\n", "");
    run(&[], &["x"]).is(
        127,
        "",
        "wave: cannot find the program `x` in the image: it is not there\n  where: oci:out\n  \
         fix:   the image has no entry point, so the first argument names the program, as with `podman run`\n",
    );
}

/// Nothing that an image says widens a run: what it names is only its own.
#[test]
fn an_image_grants_nothing() {
    let dir = place();
    pack(dir.path(), &["words.wat"]);
    configure(
        dir.path(),
        r#""Entrypoint":["/words.wasm"],"User":"0:0","Volumes":[],"ExposedPorts":[],"Labels":["dev.wave.policy"],"WorkingDir":"/etc""#,
    );
    let plan = |module: &str| wave(dir.path(), ["run", "--dry-run", module]).stdout;
    let without_names = |plan: String| {
        plan.lines()
            .filter(|line| !line.starts_with("module:") && !line.starts_with("args:"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(without_names(plan("oci:out")), without_names(plan("words.wat")));
    wave(dir.path(), ["run", "oci:out"]).is(0, "/words.wasm\n", "");
}

#[test]
fn refusals_have_their_codes_and_say_where() {
    let dir = place();
    let run = |module: &str| wave(dir.path(), ["run", module]);
    run("oci:none").is(
        127,
        "",
        "wave: there is no such directory\n  where: oci:none\n  fix:   check the path; it is oci:DIR or oci:DIR:TAG\n",
    );
    run("oci:hello.wat").is(
        126,
        "",
        "wave: it is no directory\n  where: oci:hello.wat\n  \
         fix:   an archive becomes a layout by `skopeo copy oci-archive:FILE oci:DIR:TAG`\n",
    );
    run("oci:.").is(
        127,
        "",
        "wave: the directory is no OCI image layout: it has no file `oci-layout`\n  where: oci:.\n",
    );
    pack(dir.path(), &["hello.wat", "words.wat"]);
    run("oci:out").is(2, "", "wave: the layout has 2 images\n  where: oci:out, index.json\n  fix:   name one of: oci:out:hello oci:out:words\n");
    run("oci:out:x").is(
        127,
        "",
        "wave: no image has the tag `x`\n  where: oci:out:x, index.json\n  fix:   name one of: oci:out:hello oci:out:words\n",
    );
    run("oci:out:hello").is(0, GREETING, "");
    // A layer that was changed, and then one that is a link to a good one.
    let layer = blob(dir.path(), GREETING.trim_end().as_bytes());
    let good = fs::read(&layer).expect("own file");
    let place = layer.strip_prefix(dir.path().join("out")).expect("it is there").display().to_string();
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") = 1;
    fs::write(&layer, &bad).expect("own file");
    let digest = wave_image::Digest::of(&bad);
    run("oci:out:hello").is(
        126,
        "",
        &format!("wave: its digest is {digest}\n  where: oci:out:hello, {place}\n  fix:   copy the image again\n"),
    );
    run("oci:out:words").is(0, "/words.wasm\n", "");
    fs::write(dir.path().join("elsewhere"), good).expect("own directory");
    fs::remove_file(&layer).expect("own file");
    symlink(dir.path().join("elsewhere"), &layer).expect("own directory");
    run("oci:out:hello").is(
        126,
        "",
        &format!(
            "wave: it is not a regular file, and links are not followed\n  where: oci:out:hello, {place}\n  \
             fix:   copy the layout without links: `cp -rL` or `skopeo copy`\n"
        ),
    );
}

/// What an image says is printed as text, whatever it is.
#[test]
fn t75_a_layout_steers_no_terminal() {
    let dir = place();
    pack(dir.path(), &["hello.wat"]);
    configure(dir.path(), r#""Entrypoint":["/\u001b[2J\u202e"]"#);
    wave(dir.path(), ["run", "oci:out"]).is(
        127,
        "",
        "wave: cannot find the program `/\\u{1b}[2J\\u{202e}` in the image: it is not there\n  where: oci:out\n  \
         fix:   build the image with an entry point that is a file of it\n",
    );
}

#[test]
fn only_modules_are_packed_and_only_into_layouts() {
    let dir = place();
    let before = tree(dir.path());
    let refused = |words: &[&str], code: i32, message: &str| {
        wave(dir.path(), [&["pack"], words].concat()).is(code, "", message);
    };
    fs::write(dir.path().join("broken.wasm"), b"\0asm\x01\0\0\0\xff").expect("own directory");
    fs::write(dir.path().join("text.txt"), "no module").expect("own directory");
    let broken = wave(dir.path(), ["pack", "-o", "out", "hello.wat", "broken.wasm"]);
    assert_eq!((broken.status.code(), broken.stdout.is_empty()), (Some(126), true), "{broken:?}");
    let text = wave(dir.path(), ["pack", "-o", "out", "text.txt"]);
    assert_eq!(text.status.code(), Some(126), "{text:?}");
    refused(
        &["-o", "out", "none.wasm"],
        127,
        "wave: no module `none.wasm`\n  fix:   check the path; it is not searched for in PATH\n",
    );
    refused(
        &["-o", "out", "--tag", "x", "hello.wat", "words.wat"],
        2,
        "wave: one tag cannot name several modules\n  where: --tag\n  fix:   leave it out, or pack one module at a time\n",
    );
    refused(
        &["-o", "out", "hello.wat", "./hello.wat"],
        2,
        "wave: two modules would get the tag `hello`\n  where: ./hello.wat\n  fix:   pack them one by one, each with --tag\n",
    );
    refused(
        &["-o", "out", "--tag", "../x", "hello.wat"],
        2,
        "wave: `../x` cannot be a tag\n  where: --tag\n  \
         fix:   write --tag with letters and digits, and single -, ., _, :, @, + or / between them\n",
    );
    assert!(!dir.path().join("out").exists());
    fs::create_dir(dir.path().join("mine")).expect("own directory");
    fs::write(dir.path().join("mine/notes"), "mine").expect("own directory");
    refused(
        &["-o", "mine", "hello.wat"],
        125,
        "wave: the directory is neither empty nor an OCI layout\n  where: mine\n  fix:   name another directory\n",
    );
    refused(
        &["-o", "mine/notes", "hello.wat"],
        125,
        "wave: it is no directory\n  where: mine/notes\n  \
         fix:   an archive becomes a layout by `skopeo copy oci-archive:FILE oci:DIR:TAG`\n",
    );
    assert_tree(&dir.path().join("mine"), &["notes: mine"]);
    for name in ["broken.wasm", "text.txt", "mine/notes"] {
        fs::remove_file(dir.path().join(name)).expect("own file");
    }
    fs::remove_dir(dir.path().join("mine")).expect("own directory");
    assert_eq!(tree(dir.path()), before);
}

#[test]
fn a_compiled_file_is_not_packed() {
    let dir = place();
    wave(dir.path(), ["compile", "-o", "hello.wave", "hello.wat"]).is(0, "", "");
    wave(dir.path(), ["pack", "-o", "out", "hello.wave"]).is(
        126,
        "",
        "wave: it is a compiled file, which is for this version and such processors only\n  where: hello.wave\n  \
         fix:   pack the module\n",
    );
}

#[test]
fn what_a_run_does_not_show_is_said() {
    let dir = place();
    pack(dir.path(), &["words.wat"]);
    // Another layer: the same one, with the file under another name.
    let layer = blob(dir.path(), b"words.wasm\0");
    let mut bytes = fs::read(&layer).expect("own file");
    bytes.truncate(bytes.len() - 1024);
    let mut second = bytes.clone();
    second[0] = b'x';
    second[148..156].fill(b' ');
    let sum: u32 = second[..512].iter().map(|byte| u32::from(*byte)).sum();
    second[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let both = [bytes, second, vec![0; 1024]].concat();
    replace_layer(dir.path(), &layer, &both);
    wave(dir.path(), ["run", "oci:out"]).is(
        0,
        "/words.wasm\n",
        "wave: note: the image has another file beside the module, which a run does not show to the program\n  where: oci:out\n  \
         fix:   unpack the image and grant what the program needs by --dir, or run it with a container tool\n",
    );
}

/// Puts other bytes in place of the only layer.
fn replace_layer(dir: &Path, layer: &Path, bytes: &[u8]) {
    let name = |path: &Path| path.file_name().expect("a name").display().to_string();
    let put = |bytes: &[u8]| {
        let digest = wave_image::Digest::of(bytes);
        fs::write(dir.join("out").join(digest.path().join("/")), bytes).expect("own directory");
        digest.path()[2].to_owned()
    };
    let size = |bytes: &[u8]| format!(r#""size":{}"#, bytes.len());
    let manifest = blob(dir, br#""layers":[{"#);
    let old = fs::read_to_string(&manifest).expect("text");
    let new = old.replace(&name(layer), &put(bytes)).replace(&size(&fs::read(layer).expect("own file")), &size(bytes));
    let index = fs::read_to_string(dir.join("out/index.json")).expect("text");
    let index =
        index.replace(&name(&manifest), &put(new.as_bytes())).replace(&size(old.as_bytes()), &size(new.as_bytes()));
    fs::write(dir.join("out/index.json"), index).expect("own file");
}

/// An entry of an archive, without contents.
fn entry(name: &str, kind: u8, target: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    for (at, field) in
        [(0, name.as_bytes()), (148, b"        "), (156, &[kind]), (157, target.as_bytes()), (257, b"ustar\x0000")]
    {
        header[at..at + field.len()].copy_from_slice(field);
    }
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.to_vec()
}

/// A layout in `dir` whose image has one layer: many entries of one kind, and a program that is empty.
fn hostile(dir: &Path, kind: &str, count: usize) {
    let deep = "d/".repeat(40);
    let entries = (0..count).flat_map(|i| match kind {
        "files" => entry(&format!("d/{i}"), b'0', ""),
        "the same file" => entry("d/x", b'0', ""),
        "deep files" => entry(&format!("{deep}{i}"), b'0', ""),
        "whiteouts" => entry(&format!("d/.wh.{i}"), b'0', ""),
        // Half of them files, which each of the others could look at.
        "the same whiteout" if i % 2 == 0 => entry(&format!("d/{i}"), b'0', ""),
        "the same whiteout" => entry(["d/.wh..wh..opq", ".wh.d"][i / 2 % 2], b'0', ""),
        "links" => entry(&format!("l{i}"), b'2', &format!("l{}", i.saturating_sub(1))),
        "files through links" if i < 40 => entry(&format!("l{i}"), b'2', &format!("l{}", i + 1)),
        "files through links" => entry(&format!("l9/{i}"), b'0', ""),
        "hard links" => entry(&format!("h{i}"), b'1', "app.wasm"),
        other => panic!("{other}"),
    });
    let layer: Vec<u8> = entry("app.wasm", b'0', "").into_iter().chain(entries).collect();
    fs::create_dir_all(dir.join("blobs/sha256")).expect("own directory");
    let blob = |media_type: &str, bytes: &[u8]| {
        let digest = wave_image::Digest::of(bytes);
        fs::write(dir.join(digest.path().join("/")), bytes).expect("own directory");
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{media_type}","digest":"{digest}","size":{}}}"#,
            bytes.len()
        )
    };
    let config = blob("config.v1+json", br#"{"config":{"Entrypoint":["/app.wasm"]}}"#);
    let layer = blob("layer.v1.tar", &layer);
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer},{layer}]}}"#);
    let manifest = blob("manifest.v1+json", manifest.as_bytes());
    fs::write(dir.join("index.json"), format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#))
        .expect("own directory");
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("own directory");
}

#[test]
fn t62_hostile_layers_take_time_in_proportion() {
    let dir = place();
    let kinds = [
        "files",
        "the same file",
        "deep files",
        "whiteouts",
        "the same whiteout",
        "links",
        "files through links",
        "hard links",
    ];
    for kind in kinds {
        hostile(&dir.path().join("few"), kind, 5_000);
        hostile(&dir.path().join("many"), kind, 50_000);
        is_in_proportion(kind, dir.path(), &["run", "oci:few"], &["run", "oci:many"]);
    }
}

/// A plan needs no compiler: what starts a process there unpacks layers.
#[test]
fn t62_layers_are_unpacked_in_a_sealed_process() {
    let dir = place();
    pack(dir.path(), &["hello.wat"]);
    // The limit on processes does not hold for root.
    let user = if as_root() { User::Nobody } else { User::Own };
    let limited = |words: &[&str]| {
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -u 0; exec \"$@\"", "bash"]).arg(dir.path().join("wave")).args(words);
        run_in(dir.path(), user, &mut command)
    };
    let why = "cannot start a process: the kernel refused fork: Resource temporarily unavailable (os error 11)";
    let said = limited(&["run", "--dry-run", "oci:out"]);
    let note = format!("wave: note: the module is read without a sealed process: {why}\n");
    assert_eq!((said.status.code(), said.stderr), (Some(0), note));
    limited(&["--sandbox", "strict", "run", "--dry-run", "oci:out"]).is(
        125,
        "",
        &format!("wave: cannot compile the module in a sealed process: {why}\n  where: --sandbox\n  fix:   raise the limit on processes and threads: ulimit -u is 0\n"),
    );
    for words in
        [["--sandbox", "strict", "run", "--dry-run", "hello.wat"], ["--sandbox", "off", "run", "--dry-run", "oci:out"]]
    {
        let said = limited(&words);
        assert_eq!((said.status.code(), &*said.stderr), (Some(0), ""), "{words:?}");
    }
}

/// skopeo takes both forms, and what it copies runs: as it is, and packed by it.
#[test]
fn skopeo_copies_what_is_packed() {
    if !has_program(&mut Command::new("skopeo"), "skopeo") {
        return;
    }
    let dir = place();
    let skopeo = |words: &[&str]| {
        let mut command = Command::new("skopeo");
        command.arg("--insecure-policy").args(words);
        let outcome = run_in(dir.path(), own(), &mut command);
        assert_eq!(outcome.status.code(), Some(0), "{words:?}: {outcome:?}");
        outcome.stdout
    };
    for (tag, format) in [("image", "image"), ("artifact", "artifact")] {
        pack(dir.path(), &["--tag", tag, "--format", format, "hello.wat"]);
        let [from, same, packed] = ["out", "same", "packed"].map(|place| format!("oci:{place}:{tag}"));
        // Of an artifact, older ones say what it is, and not what it would be as an image.
        let manifest = skopeo(&["inspect", "--raw", &from]);
        assert!(manifest.contains("application/vnd.oci.image.manifest.v1+json"), "{manifest}");
        skopeo(&["copy", &from, &same]);
        skopeo(&["copy", "--dest-compress", &from, &packed]);
        for copy in [&same, &packed] {
            wave(dir.path(), ["run", copy]).is(0, GREETING, "");
        }
    }
    let image = skopeo(&["inspect", "oci:out:image"]);
    assert!(image.contains(r#""Architecture": "amd64""#) && image.contains(r#""Os": "linux""#), "{image}");
    let names = fs::read_dir(dir.path().join("packed/blobs/sha256")).expect("own directory");
    let is_gzip = |path: PathBuf| fs::read(path).expect("own file").starts_with(&[0x1f, 0x8b]);
    assert!(names.map(|entry| entry.expect("an entry").path()).any(is_gzip), "skopeo packs layers");
}

/// An image that another program builds.
#[test]
fn an_image_by_buildah_runs() {
    if !has_program(&mut Command::new("buildah"), "buildah") {
        return;
    }
    if !as_root() {
        return wave_test_support::cannot_run("buildah takes subordinate ids for an ordinary user");
    }
    let dir = place();
    binary(dir.path(), "words.wat", "words.wasm");
    let file = "FROM scratch\nCOPY hello.wat /\nCOPY words.wasm /bin/\nENV A=built\nWORKDIR /bin\nENTRYPOINT [\"./words.wasm\"]\nCMD [\"x\"]\n";
    fs::write(dir.path().join("Containerfile"), file).expect("own directory");
    let store = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("buildah");
    command.args(["--storage-driver", "vfs", "--root"]).arg(store.path().join("root"));
    command.arg("--runroot").arg(store.path().join("run"));
    command.args(["build", "--isolation", "chroot", "--tag", "oci:built:v1", "."]);
    let outcome = run_in(dir.path(), own(), &mut command);
    if outcome.status.code() != Some(0) {
        return wave_test_support::cannot_run(&format!("buildah builds nothing here: {}", outcome.stderr));
    }
    let run = wave(dir.path(), ["run", "oci:built:v1"]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(run.stdout.starts_with("./words.wasm\nx\n") && run.stdout.contains("A=built\n"), "{run:?}");
    assert!(run.stderr.starts_with("wave: note: the image has another file beside the module"), "{run:?}");
}
