//! What the rest of the origin relies on, on a folder and on a store with conditional writes.

use super::*;
use object_store::memory::InMemory;

fn stores() -> (tempfile::TempDir, [Store; 2]) {
    let folder = tempfile::tempdir().expect("folder");
    let local = Store::open(folder.path().to_str().expect("text")).expect("store");
    (folder, [local, Store::of_objects(Arc::new(InMemory::new()))])
}

#[tokio::test]
async fn bounds_of_reads_and_listings() {
    let (_folder, stores) = stores();
    for store in stores {
        for name in ["a/1", "a/2", "b/3"] {
            store.replace(name, Bytes::from_static(b"0123456789")).await.expect("written");
        }
        assert_eq!(store.read("a/1", 10).await.expect("read"), "0123456789");
        assert!(matches!(store.read("a/1", 9).await, Err(StoreError::TooLong { .. })));
        assert!(store.read("a/4", 9).await.expect_err("missing").is_not_found());
        assert_eq!(store.list_bounded("a", 2).await.expect("listed").len(), 2);
        assert_eq!(store.list_bounded("", 3).await.expect("listed").len(), 3);
        assert!(matches!(store.list_bounded("", 2).await, Err(StoreError::TooMany { .. })));
    }
}

#[tokio::test]
async fn what_exists_is_not_created_again() {
    let (_folder, stores) = stores();
    for store in stores {
        assert!(store.create("a", Bytes::from_static(b"1")).await.expect("written"));
        assert!(!store.create("a", Bytes::from_static(b"2")).await.expect("kept"));
        assert_eq!(store.read("a", 9).await.expect("read"), "1");
        assert!(matches!(store.swap("a", Bytes::new(), None).await, Err(StoreError::Changed { .. })));
    }
}

#[tokio::test]
async fn a_swap_on_another_state_is_refused() {
    let store = Store::of_objects(Arc::new(InMemory::new()));
    store.swap("a", Bytes::from_static(b"1"), None).await.expect("written");
    let (_, seen) = store.read_revision("a", 9).await.expect("read");
    store.swap("a", Bytes::from_static(b"2"), Some(seen.clone())).await.expect("as seen");
    let refused = store.swap("a", Bytes::from_static(b"3"), Some(seen)).await;
    assert!(matches!(refused, Err(StoreError::Changed { .. })));
    assert_eq!(store.read("a", 9).await.expect("read"), "2");
}

#[tokio::test]
async fn streams_come_in_pieces() {
    let (_folder, stores) = stores();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for store in stores {
        let mut upload = store.upload("a");
        for part in bytes.chunks(300_000) {
            upload.write(Bytes::copy_from_slice(part)).await.expect("written");
        }
        assert!(store.size("a").await.expect_err("not yet").is_not_found());
        upload.finish().await.expect("finished");
        assert_eq!(store.size("a").await.expect("there"), 1_000_000);
        let pieces: Vec<Bytes> = store.stream("a", 10..900_010, None).try_collect().await.expect("read");
        assert_eq!(pieces.concat(), bytes[10..900_010]);
        assert!(store.folder().is_none() || pieces.iter().all(|piece| piece.len() as u64 <= PIECE_BYTES));
        assert!(store.read_range("a", 999_999..1_000_001).await.is_err(), "it ends earlier");
    }
}

#[tokio::test]
async fn small_and_large_uploads_appear_whole() {
    let (_folder, stores) = stores();
    for store in stores {
        for bytes in [0, 1, 8 << 20, (8 << 20) + 1, 20 << 20] {
            let mut upload = store.upload("a");
            for part in vec![7; bytes].chunks(1 << 20) {
                upload.write(Bytes::copy_from_slice(part)).await.expect("written");
            }
            upload.finish().await.expect("finished");
            assert_eq!(store.read("a", 21 << 20).await.expect("read"), vec![7; bytes]);
            let mut upload = store.upload("b");
            upload.write(vec![7; bytes].into()).await.expect("written");
            upload.abort().await;
            assert!(store.size("b").await.expect_err("given up").is_not_found());
        }
    }
}

#[tokio::test]
async fn a_stream_never_mixes_two_states() {
    let (_folder, stores) = stores();
    for store in stores {
        store.replace("a", vec![1; 1_000_000].into()).await.expect("written");
        let state = store.state("a").await.expect("there");
        let whole: Result<Vec<Bytes>, _> =
            store.stream("a", 0..1_000_000, state.tag.clone()).try_collect().await;
        assert_eq!(whole.expect("unchanged").concat(), vec![1; 1_000_000]);
        store.replace("a", vec![2; 1_000_000].into()).await.expect("written");
        let mixed: Result<Vec<Bytes>, _> = store.stream("a", 0..1_000_000, state.tag).try_collect().await;
        assert!(mixed.is_err(), "the state is gone");
    }
}
