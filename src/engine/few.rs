//! A list that nearly always holds one thing or none: those cost two words and no memory of their own.
//!
//! Never here: what is in it.

use std::ops::Deref;

/// The list. What is in it stays in its order.
#[derive(Clone, Default, Debug)]
pub(super) enum Few<T> {
    #[default]
    None,
    One(T),
    #[allow(clippy::box_collection, reason = "one word in an entry that nearly always holds nothing here")]
    Many(Box<Vec<T>>),
}

impl<T: Copy> Few<T> {
    pub(super) fn push(&mut self, thing: T) {
        match self {
            Self::None => *self = Self::One(thing),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, thing])),
            Self::Many(all) => all.push(thing),
        }
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(T) -> bool) {
        if let Self::Many(all) = self {
            all.retain(|&thing| is_kept(thing));
        }
        match **self {
            [] => *self = Self::None,
            [only] => *self = if is_kept(only) { Self::One(only) } else { Self::None },
            _ => {}
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn it_is_a_list() {
        let (mut few, mut list) = (Few::<u32>::default(), Vec::new());
        for number in [1, 2, 3, 4, 5] {
            few.push(number);
            list.push(number);
            assert_eq!(*few, *list);
        }
        for bad in [3, 1, 9, 5, 2, 4, 4] {
            few.retain(|number| number != bad);
            list.retain(|&number| number != bad);
            assert_eq!(*few, *list);
            assert_eq!(list.len() < 2, !matches!(few, Few::Many(_)), "one costs no memory of its own");
        }
        assert!(few.is_empty() && size_of::<Few<u64>>() == 16 && size_of::<Few<u32>>() == 16);
    }
}
