//! A few things by their number, side by side in the order of their numbers. Numbers grow, so that a new one goes to the
//! end; and what is looked through all the time lies in one piece.

/// A map for few entries.
#[derive(Debug)]
pub(crate) struct ById<K, V> {
    ids: Vec<K>,
    values: Vec<V>,
}

impl<K, V> Default for ById<K, V> {
    fn default() -> Self {
        Self { ids: Vec::new(), values: Vec::new() }
    }
}

impl<K: Copy + Ord, V> ById<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn contains(&self, id: K) -> bool {
        self.place(id).is_some()
    }

    pub(crate) fn get(&self, id: K) -> Option<&V> {
        self.values.get(self.place(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        let place = self.place(id)?;
        self.values.get_mut(place)
    }

    /// Adds what is not there yet.
    pub(crate) fn insert(&mut self, id: K, value: V) {
        let place = self.ids.partition_point(|&other| other < id);
        self.ids.insert(place, id);
        self.values.insert(place, value);
    }

    pub(crate) fn remove(&mut self, id: K) -> Option<V> {
        let place = self.place(id)?;
        self.ids.remove(place);
        Some(self.values.remove(place))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> {
        self.ids.iter().copied().zip(&self.values)
    }

    fn place(&self, id: K) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_as_a_map() {
        let mut few = ById::default();
        [5, 9, 7].into_iter().for_each(|id| few.insert(id, id * 10));
        assert_eq!((few.len(), few.contains(7), few.contains(6)), (3, true, false));
        assert_eq!(few.iter().collect::<Vec<_>>(), [(5, &50), (7, &70), (9, &90)]);
        *few.get_mut(7).expect("there") += 1;
        assert_eq!((few.get(7), few.get(8)), (Some(&71), None));
        assert_eq!((few.remove(7), few.remove(7)), (Some(71), None));
        assert_eq!(few.values().copied().collect::<Vec<_>>(), [50, 90]);
        assert!(!few.is_empty() && ById::<u8, u8>::default().is_empty());
    }
}
