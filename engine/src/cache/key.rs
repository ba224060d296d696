//! The key with which this user's verifier signs: in the kernel's memory, where no file leads to it.
//!
//! A program can be granted any directory of its user, the one with the cache, too. It could then write there what it likes;
//! a key in a file it could read as well. A sealed program cannot call `keyctl`. The key lasts until the machine restarts;
//! what was signed with it does not count afterwards.

use wave_verifier::Key;

/// The user's key, made now if there is none. `None` where the kernel keeps no keys for us.
#[cfg(target_os = "linux")]
pub fn user_key() -> Option<Key> {
    use linux_keyutils::{KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
    const DESCRIPTION: &str = "wave:verified-code";

    let ring = KeyRing::from_special_id(KeyRingIdentifier::User, false).ok()?;
    let read = || {
        let mut bytes = [0; 32];
        let len = ring.search(DESCRIPTION).ok()?.read(&mut bytes).ok()?;
        (len == bytes.len()).then(|| Key::new(bytes))
    };
    read().or_else(|| {
        let mut bytes = [0; 32];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok()?;
        let added = ring.add_key(DESCRIPTION, &bytes).ok()?;
        let permissions = KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(Permission::ALL).build();
        // Sessions with a keyring of their own do not possess it, and need this.
        added.set_perms(permissions).ok();
        // Another process may have been faster: one of both is the key.
        read()
    })
}

/// The user's key. `None`: this system keeps none.
#[cfg(not(target_os = "linux"))]
pub fn user_key() -> Option<Key> {
    None
}
