//! Where the cache is kept follows from two variables; what stands there is looked at, name by name.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Start;
use wave_test_support::user::{NOBODY, User};
use wave_test_support::{as_root, tree};

fn scene() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("own directory");
    dir
}

fn make(path: PathBuf, owner: Option<u32>, mode: u32) -> PathBuf {
    fs::create_dir(&path).expect("own directory");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("own directory");
    chown(&path, owner, owner).expect("root may, and others ask for nothing");
    path
}

/// A run with this home, or these caches; it works in any case.
#[track_caller]
fn run(user: User, home: &Path, caches: Option<&Path>) {
    let caches = caches.map_or("", |path| path.to_str().expect("UTF-8"));
    let start = Start::directly().user(user).env("HOME", home.to_str().expect("UTF-8")).env("XDG_CACHE_HOME", caches);
    start.args(&["run"]).guest("hello").end().is_hello("with a home");
}

fn names(dir: &Path) -> Vec<String> {
    tree(dir).into_iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// The control: links and directories of one's own are used.
#[test]
fn t129_the_cache_of_a_user_is_where_the_user_keeps_it() {
    for &user in User::available() {
        let owner = (user == User::Nobody).then_some(NOBODY);
        let dir = scene();
        let home = make(dir.path().join("home"), owner, 0o755);
        run(user, &home, None);
        let made = home.join(".cache/wave").metadata().expect("it was made");
        assert_eq!(made.permissions().mode() & 0o7777, 0o700);
        assert_eq!(made.uid(), home.metadata().expect("it is there").uid());
        // A link of one's own, with climbs in it, to where there is room.
        let home = make(dir.path().join("small"), owner, 0o755);
        let room = make(dir.path().join("room"), owner, 0o755);
        symlink("../small/../room", home.join(".cache")).expect("own directory");
        if let Some(owner) = owner {
            std::os::unix::fs::lchown(home.join(".cache"), Some(owner), Some(owner)).expect("root may");
        }
        run(user, &home, None);
        assert!(room.join("wave").is_dir());
        // And one that leads in circles.
        let home = make(dir.path().join("circle"), owner, 0o755);
        symlink("b", home.join("a")).expect("own directory");
        symlink("a", home.join("b")).expect("own directory");
        for link in ["a", "b"] {
            std::os::unix::fs::lchown(home.join(link), owner, owner).expect("root may");
        }
        run(user, &home, Some(&home.join("a/b/c")));
        assert_eq!(names(&home), ["a -> b", "b -> a"]);
    }
}

/// Root with another user's variables, as `sudo` may leave them, neither follows a link of that user nor makes anything there.
#[test]
fn t129_root_makes_nothing_where_another_user_says() {
    if !as_root() {
        return;
    }
    let dir = scene();
    let roots = make(dir.path().join("roots"), None, 0o755);
    let home = make(dir.path().join("home"), Some(NOBODY), 0o755);
    run(User::Root, &home, None);
    run(User::Root, &home, Some(&home.join("caches")));
    assert_eq!(names(&home), [""; 0]);
    // A link from there to a place of root's.
    symlink(&roots, home.join(".cache")).expect("root may");
    std::os::unix::fs::lchown(home.join(".cache"), Some(NOBODY), Some(NOBODY)).expect("root may");
    for caches in [None, Some(home.join(".cache")), Some(home.join(".cache/caches"))] {
        run(User::Root, &home, caches.as_deref());
        assert_eq!(names(&roots), [""; 0]);
    }
    // The same in a directory that everybody may write to: of that user, and of root.
    let shared = make(dir.path().join("shared"), None, 0o1777);
    symlink(&roots, shared.join("theirs")).expect("root may");
    std::os::unix::fs::lchown(shared.join("theirs"), Some(NOBODY), Some(NOBODY)).expect("root may");
    run(User::Root, &home, Some(&shared.join("theirs")));
    run(User::Root, &home, Some(&shared.join("theirs/more")));
    assert_eq!(names(&roots), [""; 0]);
    symlink(&roots, shared.join("own")).expect("root may");
    run(User::Root, &home, Some(&shared.join("own")));
    assert_eq!(names(&roots)[0], "wave/");
    // A directory of that user, one that the group may write to, and a relative path.
    let theirs = make(shared.join("directory"), Some(NOBODY), 0o755);
    run(User::Root, &home, Some(&theirs));
    let group = make(dir.path().join("group"), None, 0o775);
    run(User::Root, &home, Some(&group.join("caches")));
    assert_eq!([names(&theirs), names(&group)], [vec![], Vec::<String>::new()]);
}
