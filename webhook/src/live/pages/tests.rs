use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::Response;
use serde_json::json;
use tower::service_fn;

use super::*;

/// Objects of so many bytes each, and the limits that were asked for.
fn server(sizes: Vec<usize>) -> (Client, Arc<Mutex<Vec<usize>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let limits = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Body>| {
        let query = request.uri().query().unwrap();
        let number = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|pair| pair.0 == key);
            found.next().map_or(0, |pair| pair.1.parse().unwrap())
        };
        let (limit, start) = (number("limit"), number("continue"));
        limits.lock().unwrap().push(limit);
        let end = (start + limit).min(sizes.len());
        let items: Vec<Value> = sizes[start..end]
            .iter()
            .map(|size| json!("x".repeat(*size)))
            .collect();
        let next = (end < sizes.len()).then(|| end.to_string());
        let page = json!({"metadata": {"continue": next}, "items": items}).to_string();
        async move { Ok::<_, Infallible>(Response::new(Body::from(page.into_bytes()))) }
    });
    (Client::new(service, "default"), asked)
}

/// The sizes of the objects as they were read, and the largest page.
async fn read(client: &Client) -> Result<(Vec<usize>, usize), FindError> {
    let mut pages = Pages::new(
        client,
        "reports",
        "/apis/a/b?labelSelector=c".to_owned(),
        100,
    );
    let (mut sizes, mut largest) = (Vec::new(), 0);
    loop {
        let mut page = 0;
        let is_more = pages
            .read(&mut |item| {
                sizes.push(item.get().len() - 2);
                page += item.get().len();
                Ok(())
            })
            .await?;
        largest = largest.max(page);
        if !is_more {
            return Ok((sizes, largest));
        }
    }
}

#[tokio::test]
async fn of_large_objects_fewer_are_asked_for() {
    let mut sizes = vec![1000; 150];
    sizes.extend([1 << 20; 20]);
    sizes.extend([9 << 20, 1000, 1000, 1000]);
    let (client, asked) = server(sizes.clone());
    let (read, largest) = read(&client).await.unwrap();
    assert_eq!(read, sizes);
    // The one that is larger than a page comes alone.
    assert_eq!(largest, (9 << 20) + 2);
    let asked = asked.lock().unwrap();
    assert_eq!(asked[..4], [100, 100, 25, 50]);
    assert!(asked.len() < 40, "{asked:?}");
}

#[tokio::test]
async fn an_object_that_cannot_be_is_an_error() {
    let (client, _) = server(vec![1000, 11 << 20]);
    let error = read(&client).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "can't list reports: length limit exceeded"
    );
}
