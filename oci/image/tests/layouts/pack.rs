//! What is written: the same bytes for the same modules, read again, and nothing else changed.

use crate::layout::{MODULE, WASM_CONFIG};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;
use wave_image::Kind::{Invalid, Missing, Unwritten};
use wave_image::{Form, Image, Layout, Problem, Reference, is_tag};

const IMAGE: Form = Form::Image("linux", "amd64");

fn pack(dir: &Path, tag: &str, module: &[u8], form: Form) -> Result<String, Problem> {
    let mut layout = Layout::open(dir)?;
    let digest = layout.add(tag, "app", module, form)?;
    layout.finish().map(|()| digest.to_string())
}

fn module(dir: &Path, tag: Option<&str>) -> Result<Vec<u8>, Problem> {
    let image = Image::read(&Reference { dir: dir.to_owned(), tag: tag.map(str::to_owned) })?;
    image.find(image.command(&[]).first().map(AsRef::as_ref)).map(|found| found.module)
}

/// Every file beneath a directory.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("own directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").display().to_string();
        if path.is_dir() && !path.is_symlink() {
            all.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            all.insert(name, fs::read(&path).expect("own file"));
        }
    }
    all
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn what_is_packed_is_read_again_and_is_the_same_each_time() {
    for form in [IMAGE, Form::Image("wasi", "wasm"), Form::Artifact] {
        let dirs = [temporary(), temporary()];
        // A new directory, and an empty one.
        let paths = [dirs[0].path().join("new"), dirs[1].path().to_owned()];
        for path in &paths {
            pack(path, "v1", MODULE, form).expect("a layout");
            assert_eq!(module(path, Some("v1")).expect("a module"), MODULE);
            assert_eq!(module(path, None).expect("a module"), MODULE);
        }
        assert_eq!(files(&paths[0]), files(&paths[1]));
    }
}

#[test]
fn tags_are_added_and_replaced_and_the_rest_stays() {
    let dir = temporary();
    pack(dir.path(), "one", MODULE, IMAGE).expect("a layout");
    // What other programs wrote to an index is still there.
    let mut index: Value =
        serde_json::from_slice(&fs::read(dir.path().join("index.json")).expect("a file")).expect("JSON");
    index["annotations"] = json!({ "x": "y" });
    fs::write(dir.path().join("index.json"), index.to_string()).expect("own file");
    let before = files(dir.path());
    let digest = pack(dir.path(), "two", b"\0asm", Form::Artifact).expect("a layout");
    assert!(before.iter().all(|(name, bytes)| name == "index.json" || files(dir.path()).get(name) == Some(bytes)));
    assert_eq!(module(dir.path(), Some("one")).expect("a module"), MODULE);
    assert_eq!(module(dir.path(), Some("two")).expect("a module"), b"\0asm");
    pack(dir.path(), "one", b"\0asm2", IMAGE).expect("a layout");
    assert_eq!(module(dir.path(), Some("one")).expect("a module"), b"\0asm2");
    let index: Value = serde_json::from_slice(&fs::read(dir.path().join("index.json")).expect("a file")).expect("JSON");
    assert_eq!(index["annotations"]["x"], "y");
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
    assert_eq!(index["manifests"][0]["digest"], json!(digest));
}

#[test]
fn an_artifact_has_the_form_of_its_specification() {
    let dir = temporary();
    let digest = pack(dir.path(), "v1", MODULE, Form::Artifact).expect("a layout");
    let blob = |digest: &str| fs::read(dir.path().join("blobs").join(digest.replace(':', "/"))).expect("a blob");
    let manifest: Value = serde_json::from_slice(&blob(&digest)).expect("JSON");
    assert_eq!(manifest["config"]["mediaType"], WASM_CONFIG);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], "app.wasm");
    let config: Value =
        serde_json::from_slice(&blob(manifest["config"]["digest"].as_str().expect("text"))).expect("JSON");
    let layers = json!([manifest["layers"][0]["digest"]]);
    let expected =
        json!({ "architecture": "wasm", "os": "wasip1", "created": "1970-01-01T00:00:00Z", "layerDigests": layers });
    assert_eq!(config, expected);
    assert_eq!(blob(layers[0].as_str().expect("text")), MODULE);
}

#[test]
fn what_is_no_layout_is_not_written_to() {
    let refused = |dir: &Path, kind, what: &str| {
        let before = dir.is_dir().then(|| files(dir));
        let problem = pack(dir, "v1", MODULE, IMAGE).expect_err("a refusal");
        assert_eq!((problem.kind, &*problem.what), (kind, what), "{problem:?}");
        assert_eq!(before, dir.is_dir().then(|| files(dir)));
    };
    let dir = temporary();
    fs::write(dir.path().join("notes.txt"), "mine").expect("own directory");
    refused(dir.path(), Unwritten, "the directory is neither empty nor an OCI layout");
    refused(&dir.path().join("notes.txt"), Invalid, "it is no directory");
    refused(&dir.path().join("a/b"), Unwritten, "cannot make the directory: No such file or directory (os error 2)");
    // A hidden file is a file.
    let dir = temporary();
    fs::write(dir.path().join(".hidden"), "").expect("own directory");
    refused(dir.path(), Unwritten, "the directory is neither empty nor an OCI layout");
    let dir = temporary();
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).expect("own directory");
    refused(dir.path(), Invalid, "the layout has version `9`, and 1.0.0 is supported");
    let dir = temporary();
    pack(dir.path(), "v1", MODULE, IMAGE).expect("a layout");
    fs::write(dir.path().join("index.json"), r#"{"schemaVersion":2,"manifests":[{}]}"#).expect("own file");
    let problem = pack(dir.path(), "v1", MODULE, IMAGE).expect_err("a refusal");
    assert!(problem.what.starts_with("it is not what it should be: "), "{problem:?}");
}

#[test]
fn nothing_is_written_through_links() {
    let elsewhere = temporary();
    let dir = temporary();
    pack(dir.path(), "v1", MODULE, IMAGE).expect("a layout");
    // The directory of the blobs.
    let aside = elsewhere.path().join("blobs");
    fs::rename(dir.path().join("blobs"), &aside).expect("own files");
    symlink(&aside, dir.path().join("blobs")).expect("own directory");
    let before = files(&aside);
    let problem = pack(dir.path(), "v2", b"\0asm2", IMAGE).expect_err("a refusal");
    assert_eq!(problem.what, "it is not a directory, and links are not followed");
    assert_eq!(files(&aside), before);
    fs::remove_file(dir.path().join("blobs")).expect("own link");
    fs::rename(&aside, dir.path().join("blobs")).expect("own files");
    // Files that are written, and the file that they are written to first: the links are replaced.
    let target = elsewhere.path().join("target");
    fs::write(&target, "mine").expect("own directory");
    symlink(&target, dir.path().join(".wave-pack")).expect("own directory");
    let digest = pack(dir.path(), "v2", b"\0asm2", IMAGE).expect("a layout");
    let blob = dir.path().join("blobs").join(digest.replace(':', "/"));
    fs::remove_file(&blob).expect("own file");
    symlink(&target, &blob).expect("own directory");
    pack(dir.path(), "v2", b"\0asm2", IMAGE).expect("a layout");
    assert_eq!(fs::read(&target).expect("own file"), b"mine");
    assert!(!blob.is_symlink());
    assert_eq!(module(dir.path(), Some("v2")).expect("a module"), b"\0asm2");
}

/// A run that ended in the middle leaves a layout that the next one takes.
#[test]
fn an_unfinished_layout_is_finished() {
    let dir = temporary();
    let mut layout = Layout::open(dir.path()).expect("a layout");
    layout.add("v1", "app", MODULE, IMAGE).expect("memory");
    drop(layout);
    assert_eq!(module(dir.path(), None).expect_err("no image").kind, Missing);
    pack(dir.path(), "v1", MODULE, IMAGE).expect("a layout");
    assert_eq!(module(dir.path(), None).expect("a module"), MODULE);
}

#[test]
fn writers_wait_for_each_other() {
    let dir = temporary();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let dir = dir.path();
            scope.spawn(move || pack(dir, &format!("v{number}"), MODULE, IMAGE).expect("a layout"));
        }
    });
    for number in 0..8 {
        assert_eq!(module(dir.path(), Some(&format!("v{number}"))).expect("a module"), MODULE);
    }
}

#[test]
fn tags_follow_the_grammar() {
    for tag in ["a", "v1.0", "a/b:c@d+e", "stable-release", "a--b", "host.example:5000/app"] {
        assert!(is_tag(tag), "{tag}");
    }
    for tag in ["", "-a", "a-", "a..b", "a---b", "a b", "a//b", "/a", "ä", "a\0", "a=b"] {
        assert!(!is_tag(tag), "{tag}");
    }
}
