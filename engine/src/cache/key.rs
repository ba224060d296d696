//! The key with which this user's verifier signs cached code. It is in the kernel keyring and in no file.
//!
//! A program can be granted any directory of its user, even that of the cache. It could then write any file there, and
//! it could read a key from a file. It cannot read the kernel keyring, because a sealed program cannot call `keyctl`.
//! The key lasts until the machine restarts. Signatures of an earlier key are not valid.

use wave_verifier::Key;

/// The user's key. Creates it if it does not exist. `None` if the kernel keyring is not available.
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
        // Sessions with their own keyring do not possess the key, so they need the user's permissions.
        added.set_perms(permissions).ok();
        // Another process may have added its key at the same time. Both processes use the one that is in the keyring.
        read()
    })
}

/// The user's key. `None`: this system has no kernel keyring.
#[cfg(not(target_os = "linux"))]
pub fn user_key() -> Option<Key> {
    None
}
