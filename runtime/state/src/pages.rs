//! A sequence in pages, which is frozen at the cost of a look at each page.

use std::sync::Arc;

/// About how many bytes a page has. A write after a freeze copies one page: smaller ones copy less,
/// larger ones are fewer to freeze.
const PAGE_SIZE_BYTES: usize = 8 << 10;

/// Values by number, from 0 on without gaps.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    /// Full ones, then one that may be not, then empty ones that keep their room.
    pages: Vec<Page<T>>,
    len: usize,
}

/// Ours alone costs nothing to change, not even a look at a reference count.
#[derive(Debug)]
enum Page<T> {
    Own(Vec<T>),
    /// A snapshot holds it, too.
    Shared(Arc<Vec<T>>),
}

/// What a sequence held when it was frozen.
#[derive(Clone, Debug)]
pub(crate) struct FrozenPages<T>(Vec<Arc<Vec<T>>>);

impl<T> FrozenPages<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|page| page.iter())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|page| page.len()).sum()
    }
}

impl<T: Clone> Page<T> {
    #[inline]
    fn values(&self) -> &Vec<T> {
        match self {
            Self::Own(values) => values,
            Self::Shared(values) => values,
        }
    }

    #[inline]
    fn values_mut(&mut self) -> &mut Vec<T> {
        if let Self::Shared(_) = self {
            self.make_own();
        }
        match self {
            Self::Own(values) => values,
            Self::Shared(_) => unreachable!("it was just made ours"),
        }
    }

    #[cold]
    fn make_own(&mut self) {
        if let Self::Shared(values) = std::mem::replace(self, Self::Own(Vec::new())) {
            *self = Self::Own(Arc::unwrap_or_clone(values));
        }
    }

    fn freeze(&mut self) -> Arc<Vec<T>> {
        if let Self::Own(values) = self {
            *self = Self::Shared(Arc::new(std::mem::take(values)));
        }
        match self {
            Self::Shared(values) => values.clone(),
            Self::Own(_) => unreachable!("it was just shared"),
        }
    }
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Pages<T> {
    /// Values of a page, as a power of two.
    const LEN_LOG2: u32 = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        let len = PAGE_SIZE_BYTES / size;
        if len < 16 { 4 } else { len.ilog2() }
    };

    /// Values of a page.
    const LEN: usize = 1 << Self::LEN_LOG2;

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of bytes of all values.
    #[inline]
    pub(crate) fn size_bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    /// Returns the value with this number.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[inline]
    pub(crate) fn get(&self, number: usize) -> &T {
        &self.pages[number >> Self::LEN_LOG2].values()[number & (Self::LEN - 1)]
    }

    /// Returns the value with this number, for change.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: usize) -> &mut T {
        &mut self.pages[number >> Self::LEN_LOG2].values_mut()[number & (Self::LEN - 1)]
    }

    /// Adds a value, and returns its number.
    pub(crate) fn push(&mut self, value: T) -> usize {
        let number = self.len;
        let page = number >> Self::LEN_LOG2;
        if page == self.pages.len() {
            // The first page grows with what comes; there are many small tables.
            let room = if page == 0 { 0 } else { Self::LEN };
            self.pages.push(Page::Own(Vec::with_capacity(room)));
        }
        self.pages[page].values_mut().push(value);
        self.len += 1;
        number
    }

    /// Removes the value with this number. The last one takes its number.
    pub(crate) fn swap_remove(&mut self, number: usize) -> T {
        assert!(number < self.len);
        self.len -= 1;
        let last = self.pages[self.len >> Self::LEN_LOG2].values_mut().pop();
        let last = last.expect("the last page that is not empty ends with the last value");
        if number == self.len { last } else { std::mem::replace(self.get_mut(number), last) }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.values())
    }

    /// Removes and returns all values. The room stays.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.len = 0;
        self.pages.iter_mut().flat_map(|page| page.values_mut().drain(..))
    }

    /// Removes all values. The room that is ours alone stays.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.pages.iter_mut().for_each(|page| match page {
            Page::Own(values) => values.clear(),
            Page::Shared(_) => *page = Page::Own(Vec::new()),
        });
    }

    /// Returns what there is now, for good.
    pub(crate) fn freeze(&mut self) -> FrozenPages<T> {
        let used = self.len.div_ceil(Self::LEN);
        FrozenPages(self.pages[..used].iter_mut().map(Page::freeze).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pages: &Pages<u64>) -> Vec<u64> {
        pages.iter().copied().collect()
    }

    /// Returns the numbers below three and a half pages.
    fn numbers() -> (u64, Pages<u64>) {
        let count = Pages::<u64>::LEN as u64 * 7 / 2;
        let mut pages = Pages::default();
        (0..count).for_each(|number| assert_eq!(pages.push(number) as u64, number));
        (count, pages)
    }

    #[test]
    fn what_was_frozen_does_not_change() {
        let (count, mut pages) = numbers();
        let frozen = pages.freeze();
        *pages.get_mut(3) = 77;
        pages.swap_remove(0);
        pages.push(78);
        assert!(frozen.iter().copied().eq(0..count));
        assert_eq!((*pages.get(3), *pages.get(0), pages.len() as u64), (77, count - 1, count));
        drop(pages.drain());
        assert!(frozen.iter().copied().eq(0..count));
    }

    #[test]
    fn a_write_after_a_freeze_copies_one_page() {
        let (_, mut pages) = numbers();
        drop(pages.freeze());
        let frozen = pages.freeze();
        *pages.get_mut(0) += 1;
        let is_shared = |page: &Page<u64>| matches!(page, Page::Shared(_));
        assert_eq!(
            pages.pages.iter().map(is_shared).collect::<Vec<_>>(),
            [false, true, true, true]
        );
        assert_eq!(frozen.len(), pages.len());
    }

    #[test]
    fn the_last_value_takes_the_number_of_a_removed_one_across_pages() {
        let (count, mut pages) = numbers();
        for left in (1..count).rev() {
            assert_eq!(pages.swap_remove(0), if left == count - 1 { 0 } else { left + 1 });
        }
        assert_eq!(values(&pages), [1]);
        assert_eq!(pages.swap_remove(0), 1);
        pages.push(5);
        assert_eq!(values(&pages), [5]);
    }

    #[test]
    fn emptied_pages_are_filled_from_the_front() {
        let (count, mut pages) = numbers();
        assert_eq!(pages.drain().count() as u64, count);
        pages.push(1);
        assert_eq!((values(&pages), pages.freeze().len()), (vec![1], 1));
        pages.clear();
        pages.push(2);
        assert_eq!(values(&pages), [2]);
    }
}
