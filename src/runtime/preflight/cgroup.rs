//! Where the limits of this process's cgroups are, version 1 or 2.
//!
//! Invariant: a file that is missing or strange is no limit. Never here: what a limit means.

use std::fs;

/// The folders of the hierarchy with this controller, `""` for version 2, from this process's cgroup up to the root. In
/// a container only the root may exist.
pub(super) fn folders(controller: &str) -> Vec<String> {
    let Ok(membership) = fs::read_to_string("/proc/self/cgroup") else { return Vec::new() };
    let root = if controller.is_empty() { "/sys/fs/cgroup".into() } else { format!("/sys/fs/cgroup/{controller}") };
    let path = cgroup_path(&membership, controller);
    path.map_or_else(Vec::new, |path| ancestors(path).map(|at| format!("{root}{at}")).collect())
}

/// The path of the process in the hierarchy with this controller, `""` for version 2, from `/proc/self/cgroup`.
fn cgroup_path<'a>(membership: &'a str, controller: &str) -> Option<&'a str> {
    membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        controllers.split(',').any(|one| one == controller).then_some(path)
    })
}

/// A path and all above it: `/a/b`, `/a`, and the root as an empty text.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    std::iter::successors(Some(path), |at| at.rfind('/').map(|slash| &at[..slash]))
}

#[cfg(test)]
mod tests {
    use super::{ancestors, cgroup_path};

    #[test]
    fn the_own_cgroup_is_found_in_each_hierarchy() {
        let hybrid = "9:name=systemd:/\n4:memory:/pods/x:y\n2:cpu,cpuacct:/docker/abc\n0::/user.slice\n";
        assert_eq!(cgroup_path(hybrid, "cpu"), Some("/docker/abc"));
        assert_eq!(cgroup_path(hybrid, "memory"), Some("/pods/x:y"));
        assert_eq!(cgroup_path(hybrid, ""), Some("/user.slice"));
        assert_eq!(cgroup_path("0::/\n", "cpu"), None);
        assert_eq!(cgroup_path("nonsense", ""), None);
    }

    #[test]
    fn every_ancestor_is_asked_down_to_the_root() {
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), [""]);
    }
}
