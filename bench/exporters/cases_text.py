"""Text pipelines of scikit-learn through skl2onnx: counting and TF-IDF over words and characters."""
import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn import linear_model, naive_bayes, pipeline, svm
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer

import data
from harness import Case, add

E = "skl2onnx text"


def vectors(make, texts, **tol):
    def build():
        t = texts()
        m = make().fit(t[::2])
        onx = to_onnx(m, initial_types=[("X", StringTensorType([None]))], options=options(m))
        return Case(onx, {"X": t[1::2]}, [m.transform(t[1::2]).toarray()], **tol)

    return build


def options(m):
    """The converter's own pattern where its default word splitter differs from scikit-learn's."""
    return {id(m): {"tokenexp": "[a-zA-Z0-9_]+"}} if getattr(m, "analyzer", "") == "word" else None


def classify(make, xy, text_labels=False):
    def build():
        t, y = xy()
        y = np.array(["bad", "good"], object)[y].astype(str) if text_labels else y
        m = make().fit(t[::2], y[::2])
        o = {id(m.steps[-1][1]): {"raw_scores": False}} if isinstance(m.steps[-1][1], svm.LinearSVC) else None
        onx = to_onnx(m, initial_types=[("X", StringTensorType([None]))], options=o)
        want = [m.predict(t[1::2])]
        if hasattr(m, "predict_proba"):
            want.append([dict(zip(m.classes_, p)) for p in m.predict_proba(t[1::2])])
        else:
            want.append(None)
        return Case(onx, {"X": t[1::2]}, want, rtol=1e-3, atol=1e-4, rows=1)

    return build


WORD = r"(?u)\b[a-zA-Z0-9_]+\b"
films = lambda: data.sentences()[0]  # noqa: E731
talk = lambda: data.comments()[0]  # noqa: E731
for name, make, texts in [
    ("CountVectorizer", lambda: CountVectorizer(token_pattern="[a-zA-Z0-9_]+"), films),
    ("CountVectorizer bigrams", lambda: CountVectorizer(ngram_range=(1, 2), token_pattern="[a-zA-Z0-9_]+"), films),
    ("CountVectorizer binary", lambda: CountVectorizer(binary=True, token_pattern="[a-zA-Z0-9_]+"), films),
    ("CountVectorizer default", lambda: CountVectorizer(), films),
    ("CountVectorizer stop words", lambda: CountVectorizer(stop_words=["the", "of"], token_pattern="[a-zA-Z0-9_]+"), films),
    ("TfidfVectorizer", lambda: TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+"), films),
    ("TfidfVectorizer default", lambda: TfidfVectorizer(), films),
    ("TfidfVectorizer trigrams", lambda: TfidfVectorizer(ngram_range=(1, 3), token_pattern="[a-zA-Z0-9_]+"), films),
    ("TfidfVectorizer sublinear", lambda: TfidfVectorizer(sublinear_tf=True, token_pattern="[a-zA-Z0-9_]+"), films),
    ("TfidfVectorizer l1", lambda: TfidfVectorizer(norm="l1", token_pattern="[a-zA-Z0-9_]+"), films),
    ("TfidfVectorizer comments", lambda: TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+"), talk),
    ("CountVectorizer chars", lambda: CountVectorizer(analyzer="char", ngram_range=(1, 2)), films),
    ("TfidfVectorizer char_wb", lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)), films),
]:
    add(E, name, vectors(make, texts))
add(E, "Tfidf + LogisticRegression", classify(
    lambda: pipeline.make_pipeline(TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+"), linear_model.LogisticRegression()),
    data.sentences))
add(E, "Tfidf + LogisticRegression texts", classify(
    lambda: pipeline.make_pipeline(TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+"), linear_model.LogisticRegression()),
    data.comments, True))
add(E, "Count + Tfidf + MultinomialNB", classify(
    lambda: pipeline.make_pipeline(CountVectorizer(token_pattern="[a-zA-Z0-9_]+"), TfidfTransformer(),
                                   naive_bayes.MultinomialNB()), data.sentences))
# LinearSVC has no probabilities: the label alone is compared.
add(E, "Tfidf + LinearSVC", classify(
    lambda: pipeline.make_pipeline(TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+"), svm.LinearSVC()), data.comments))
