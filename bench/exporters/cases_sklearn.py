"""scikit-learn through skl2onnx: estimators, transformers and pipelines on real rows."""
import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import (
    calibration, cluster, compose, covariance, cross_decomposition, decomposition, discriminant_analysis, ensemble,
    feature_selection, gaussian_process, impute, kernel_approximation, linear_model, mixture, multiclass, multioutput,
    naive_bayes, neighbors, neural_network, pipeline, preprocessing, random_projection, svm, tree)
from sklearn.gaussian_process import kernels

import data
from harness import Case, add, case

E = "skl2onnx"


def split(xy):
    """Even rows train, odd rows test."""
    x, y = xy
    return x[::2], y[::2], x[1::2]


def classifier(make, xy, zipmap=True, rows=0, options=None, **tol):
    def build():
        x, y, test = split(xy())
        m = make().fit(x, y)
        o = {id(m): {"zipmap": zipmap, **(options or {})}}
        onx = to_onnx(m, x[:1], options=o, target_opset={"": 18, "ai.onnx.ml": 3})
        want = m.predict_proba(test) if hasattr(m, "predict_proba") else None
        if want is not None and zipmap:
            want = [dict(zip(m.classes_, p)) for p in want]
        return Case(onx, {"X": test}, [m.predict(test), want], rows=rows, **tol)

    return build


def scores(make, xy, rows=0, **tol):
    """Classifiers without probabilities: the label, and the decision function."""

    def build():
        x, y, test = split(xy())
        m = make().fit(x, y)
        o = {"raw_scores": True} if isinstance(m, svm.LinearSVC) else {"zipmap": False, "raw_scores": True}
        onx = to_onnx(m, x[:1], options={id(m): o},
                      target_opset={"": 18, "ai.onnx.ml": 3})
        d = m.decision_function(test)
        return Case(onx, {"X": test}, [m.predict(test), np.c_[-d, d] if d.ndim == 1 else d], rows=rows, **tol)

    return build


def regressor(make, xy, **tol):
    def build():
        x, y, test = split(xy())
        m = make().fit(x, y)
        return Case(to_onnx(m, x[:1], target_opset={"": 18, "ai.onnx.ml": 3}), {"X": test}, [m.predict(test)], **tol)

    return build


def transformer(make, xy, **tol):
    def build():
        x, y, test = split(xy())
        m = make().fit(x, y)
        want = m.transform(test)
        want = want.toarray() if hasattr(want, "toarray") else want
        return Case(to_onnx(m, x[:1], target_opset={"": 18, "ai.onnx.ml": 3}), {"X": test}, [want], **tol)

    return build


def names(xy):
    """The same rows with texts as labels."""

    def get():
        x, y = xy()
        return x, np.array(["kind " + "abcdefghij"[int(v)] for v in y], object).astype(str)

    return get


def gaps(xy):
    """Every seventh number missing."""

    def get():
        x, y = xy()
        x = x.copy()
        x.reshape(-1)[::7] = np.nan
        return x, y

    return get


def binary(xy):
    def get():
        x, y = xy()
        return x, (y > np.median(y)).astype(np.int64)

    return get


flat_gestures = lambda: (data.gestures()[0].reshape(-1, 32), data.gestures()[1])  # noqa: E731
positive = lambda: (data.digits()[0], data.digits()[1])  # noqa: E731
iris, digits, taxi, sound = data.iris, data.digits, data.taxi_numbers, data.sound_frames

for name, make, xy in [
    ("LogisticRegression", lambda: linear_model.LogisticRegression(max_iter=500), iris),
    ("LogisticRegression digits", lambda: linear_model.LogisticRegression(max_iter=200), digits),
    ("LogisticRegressionCV", lambda: linear_model.LogisticRegressionCV(max_iter=500), binary(iris)),
    ("SGDClassifier log", lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0), iris),
    ("SGDClassifier huber", lambda: linear_model.SGDClassifier(loss="modified_huber", random_state=0), binary(iris)),
    ("LinearDiscriminantAnalysis", lambda: discriminant_analysis.LinearDiscriminantAnalysis(), iris),
    ("QuadraticDiscriminantAnalysis", lambda: discriminant_analysis.QuadraticDiscriminantAnalysis(), iris),
    ("DecisionTreeClassifier", lambda: tree.DecisionTreeClassifier(random_state=0), digits),
    ("ExtraTreeClassifier", lambda: tree.ExtraTreeClassifier(random_state=0), iris),
    ("RandomForestClassifier", lambda: ensemble.RandomForestClassifier(30, random_state=0), digits),
    ("RandomForestClassifier gestures", lambda: ensemble.RandomForestClassifier(20, random_state=0), flat_gestures),
    ("ExtraTreesClassifier", lambda: ensemble.ExtraTreesClassifier(30, random_state=0), digits),
    ("GradientBoostingClassifier", lambda: ensemble.GradientBoostingClassifier(n_estimators=20), iris),
    ("GradientBoostingClassifier two", lambda: ensemble.GradientBoostingClassifier(n_estimators=20), sound),
    ("HistGradientBoostingClassifier", lambda: ensemble.HistGradientBoostingClassifier(max_iter=15), digits),
    ("HistGradientBoosting gaps", lambda: ensemble.HistGradientBoostingClassifier(max_iter=15), gaps(sound)),
    ("AdaBoostClassifier", lambda: ensemble.AdaBoostClassifier(n_estimators=10), iris),
    ("BaggingClassifier", lambda: ensemble.BaggingClassifier(random_state=0), iris),
    ("VotingClassifier soft", lambda: ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3))], voting="soft",
        flatten_transform=False), iris),
    ("StackingClassifier", lambda: ensemble.StackingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3))]), iris),
    ("SVC probability", lambda: svm.SVC(probability=True, random_state=0), iris),
    ("SVC linear two", lambda: svm.SVC(kernel="linear", probability=True, random_state=0), binary(iris)),
    ("NuSVC poly", lambda: svm.NuSVC(kernel="poly", nu=0.3, probability=True, random_state=0), iris),
    ("KNeighborsClassifier", lambda: neighbors.KNeighborsClassifier(), iris),
    ("KNeighborsClassifier distance", lambda: neighbors.KNeighborsClassifier(3, weights="distance"), sound),
    ("KNeighborsClassifier manhattan", lambda: neighbors.KNeighborsClassifier(3, metric="manhattan"), iris),
    ("RadiusNeighborsClassifier", lambda: neighbors.RadiusNeighborsClassifier(2.0), iris),
    ("NearestCentroid", lambda: neighbors.NearestCentroid(), iris),
    ("GaussianNB", lambda: naive_bayes.GaussianNB(), iris),
    ("MultinomialNB", lambda: naive_bayes.MultinomialNB(), positive),
    ("BernoulliNB", lambda: naive_bayes.BernoulliNB(binarize=0.3), digits),
    ("ComplementNB", lambda: naive_bayes.ComplementNB(), positive),
    ("CategoricalNB", lambda: naive_bayes.CategoricalNB(), lambda: (np.round(iris()[0]).astype(np.int64), iris()[1])),
    ("MLPClassifier", lambda: neural_network.MLPClassifier((32,), max_iter=60, random_state=0), digits),
    ("MLPClassifier tanh two", lambda: neural_network.MLPClassifier((8,), "tanh", max_iter=60, random_state=0), sound),
    ("GaussianProcessClassifier", lambda: gaussian_process.GaussianProcessClassifier(), binary(iris)),
    ("CalibratedClassifier sigmoid", lambda: calibration.CalibratedClassifierCV(
        linear_model.SGDClassifier(random_state=0), method="sigmoid"), iris),
    ("CalibratedClassifier isotonic", lambda: calibration.CalibratedClassifierCV(
        naive_bayes.GaussianNB(), method="isotonic"), binary(iris)),
    ("OneVsRestClassifier", lambda: multiclass.OneVsRestClassifier(linear_model.LogisticRegression()), iris),
    ("OneVsOneClassifier", lambda: multiclass.OneVsOneClassifier(linear_model.LogisticRegression()), iris),
    ("OutputCodeClassifier", lambda: multiclass.OutputCodeClassifier(
        linear_model.LogisticRegression(), random_state=0), iris),
]:
    plain = ("NearestCentroid", "RadiusNeighborsClassifier", "OneVsOneClassifier", "OutputCodeClassifier")
    add(E, name, classifier(make, xy, zipmap=name not in plain, rtol=1e-3))
    if name in ("LogisticRegression", "RandomForestClassifier", "SVC probability", "KNeighborsClassifier", "MLPClassifier",
                "GaussianNB", "HistGradientBoostingClassifier"):
        add(E, name + " texts", classifier(make, names(xy), rtol=1e-3))
        add(E, name + " plain", classifier(make, xy, zipmap=False, rtol=1e-3))
add(E, "RandomForestClassifier columns", classifier(
    lambda: ensemble.RandomForestClassifier(10, random_state=0), iris, zipmap=False))

for name, make, xy in [
    ("LinearSVC", lambda: svm.LinearSVC(), iris),
    ("LinearSVC two", lambda: svm.LinearSVC(), binary(iris)),
    ("SVC rbf", lambda: svm.SVC(decision_function_shape="ovo"), iris),
    ("SVC sigmoid two", lambda: svm.SVC(kernel="sigmoid"), binary(iris)),
    ("Perceptron", lambda: linear_model.Perceptron(random_state=0), iris),
    ("PassiveAggressiveClassifier", lambda: linear_model.PassiveAggressiveClassifier(random_state=0), iris),
    ("RidgeClassifier", lambda: linear_model.RidgeClassifier(), iris),
    ("SGDClassifier hinge", lambda: linear_model.SGDClassifier(random_state=0), digits),
]:
    add(E, name, scores(make, xy, rtol=1e-3, atol=1e-4))

GP = kernels
for name, make, xy in [
    ("LinearRegression", lambda: linear_model.LinearRegression(), taxi),
    ("Ridge", lambda: linear_model.Ridge(), taxi),
    ("Lasso", lambda: linear_model.Lasso(), taxi),
    ("ElasticNet", lambda: linear_model.ElasticNet(), taxi),
    ("BayesianRidge", lambda: linear_model.BayesianRidge(), taxi),
    ("ARDRegression", lambda: linear_model.ARDRegression(), taxi),
    ("HuberRegressor", lambda: linear_model.HuberRegressor(max_iter=500), taxi),
    ("TheilSenRegressor", lambda: linear_model.TheilSenRegressor(random_state=0), taxi),
    ("RANSACRegressor", lambda: linear_model.RANSACRegressor(random_state=0), taxi),
    ("OrthogonalMatchingPursuit", lambda: linear_model.OrthogonalMatchingPursuit(), taxi),
    ("PoissonRegressor", lambda: linear_model.PoissonRegressor(), lambda: (sound()[0], data.sound_frames()[1] + 1.0)),
    ("GammaRegressor", lambda: linear_model.GammaRegressor(), lambda: (sound()[0], data.sound_frames()[1] + 1.0)),
    ("TweedieRegressor", lambda: linear_model.TweedieRegressor(power=1.5), lambda: (sound()[0], sound()[1] + 1.0)),
    ("QuantileRegressor", lambda: linear_model.QuantileRegressor(quantile=0.5, alpha=0.01), lambda: iris()),
    ("DecisionTreeRegressor", lambda: tree.DecisionTreeRegressor(max_depth=6), taxi),
    ("RandomForestRegressor", lambda: ensemble.RandomForestRegressor(20, random_state=0), taxi),
    ("ExtraTreesRegressor", lambda: ensemble.ExtraTreesRegressor(20, random_state=0), taxi),
    ("GradientBoostingRegressor", lambda: ensemble.GradientBoostingRegressor(n_estimators=40), taxi),
    ("HistGradientBoostingRegressor", lambda: ensemble.HistGradientBoostingRegressor(max_iter=40), taxi),
    ("HistGradientBoostingRegressor gaps", lambda: ensemble.HistGradientBoostingRegressor(max_iter=40), gaps(taxi)),
    ("AdaBoostRegressor", lambda: ensemble.AdaBoostRegressor(n_estimators=10, random_state=0), taxi),
    ("BaggingRegressor", lambda: ensemble.BaggingRegressor(random_state=0), taxi),
    ("VotingRegressor", lambda: ensemble.VotingRegressor(
        [("a", linear_model.LinearRegression()), ("b", tree.DecisionTreeRegressor(max_depth=4))]), taxi),
    ("StackingRegressor", lambda: ensemble.StackingRegressor(
        [("a", linear_model.LinearRegression()), ("b", tree.DecisionTreeRegressor(max_depth=4))]), taxi),
    ("SVR", lambda: svm.SVR(), iris),
    ("NuSVR poly", lambda: svm.NuSVR(kernel="poly"), iris),
    ("LinearSVR", lambda: svm.LinearSVR(max_iter=10000), iris),
    ("KNeighborsRegressor", lambda: neighbors.KNeighborsRegressor(), iris),
    ("KNeighborsRegressor distance", lambda: neighbors.KNeighborsRegressor(weights="distance"), sound),
    ("RadiusNeighborsRegressor", lambda: neighbors.RadiusNeighborsRegressor(2.0), iris),
    ("MLPRegressor", lambda: neural_network.MLPRegressor(hidden_layer_sizes=(16,), max_iter=100, random_state=0), sound),
    ("MultiOutputRegressor", lambda: multioutput.MultiOutputRegressor(linear_model.Ridge()),
     lambda: (taxi()[0], np.c_[taxi()[1], taxi()[0][:, 1]])),
    ("PLSRegression", lambda: cross_decomposition.PLSRegression(2), iris),
]:
    add(E, name, regressor(make, xy, rtol=1e-3, atol=1e-3))
for name, kernel in [
    ("RBF", GP.RBF()), ("Matern", GP.Matern(nu=1.5)), ("RationalQuadratic", GP.RationalQuadratic()),
    ("DotProduct", GP.DotProduct() + GP.WhiteKernel()), ("ExpSineSquared", GP.ExpSineSquared(3.0, 5.0) + GP.WhiteKernel(0.5)),
    ("product", GP.ConstantKernel(2.0) * GP.RBF(2.0)),
]:
    add(E, "GaussianProcessRegressor " + name, regressor(
        lambda kernel=kernel, name=name: gaussian_process.GaussianProcessRegressor(
            kernel, alpha=20 if name == "ExpSineSquared" else 0.1, optimizer=None), iris,
        rtol=1e-2, atol=1e-2))

for name, make, xy in [
    ("StandardScaler", lambda: preprocessing.StandardScaler(), taxi),
    ("MinMaxScaler clip", lambda: preprocessing.MinMaxScaler(clip=True), taxi),
    ("MaxAbsScaler", lambda: preprocessing.MaxAbsScaler(), taxi),
    ("RobustScaler", lambda: preprocessing.RobustScaler(), taxi),
    ("Normalizer l1", lambda: preprocessing.Normalizer("l1"), taxi),
    ("Normalizer l2", lambda: preprocessing.Normalizer("l2"), taxi),
    ("Normalizer max", lambda: preprocessing.Normalizer("max"), taxi),
    ("Binarizer", lambda: preprocessing.Binarizer(threshold=0.5), digits),
    ("PolynomialFeatures", lambda: preprocessing.PolynomialFeatures(3), iris),
    ("SplineTransformer", lambda: preprocessing.SplineTransformer(), iris),
    ("PowerTransformer", lambda: preprocessing.PowerTransformer(), iris),
    ("QuantileTransformer", lambda: preprocessing.QuantileTransformer(n_quantiles=50), iris),
    ("KBinsDiscretizer onehot", lambda: preprocessing.KBinsDiscretizer(4, encode="onehot-dense"), iris),
    ("KBinsDiscretizer ordinal", lambda: preprocessing.KBinsDiscretizer(4, encode="ordinal"), iris),
    ("FunctionTransformer", lambda: preprocessing.FunctionTransformer(), iris),
    ("KernelCenterer", lambda: preprocessing.KernelCenterer(), lambda: (iris()[0][:8, :4], iris()[1][:8])),
    ("SimpleImputer mean", lambda: impute.SimpleImputer(), gaps(taxi)),
    ("SimpleImputer median", lambda: impute.SimpleImputer(strategy="median"), gaps(taxi)),
    ("KNNImputer", lambda: impute.KNNImputer(n_neighbors=3), gaps(iris)),
    ("MissingIndicator", lambda: impute.MissingIndicator(), gaps(taxi)),
    ("PCA", lambda: decomposition.PCA(8), digits),
    ("PCA whiten", lambda: decomposition.PCA(3, whiten=True), iris),
    ("IncrementalPCA", lambda: decomposition.IncrementalPCA(5), digits),
    ("TruncatedSVD", lambda: decomposition.TruncatedSVD(5, random_state=0), digits),
    ("FastICA", lambda: decomposition.FastICA(3, random_state=0), iris),
    ("KernelPCA", lambda: decomposition.KernelPCA(3, kernel="rbf", gamma=0.1), iris),
    ("FactorAnalysis", lambda: decomposition.FactorAnalysis(2), iris),
    ("NMF", lambda: decomposition.NMF(2, random_state=0), iris),
    ("Nystroem", lambda: kernel_approximation.Nystroem(n_components=10, random_state=0), iris),
    ("RBFSampler", lambda: kernel_approximation.RBFSampler(n_components=10, random_state=0), iris),
    ("GaussianRandomProjection", lambda: random_projection.GaussianRandomProjection(6, random_state=0), digits),
    ("SelectKBest", lambda: feature_selection.SelectKBest(k=20), digits),
    ("SelectPercentile", lambda: feature_selection.SelectPercentile(percentile=20), iris),
    ("VarianceThreshold", lambda: feature_selection.VarianceThreshold(0.05), digits),
    ("RFE", lambda: feature_selection.RFE(tree.DecisionTreeClassifier(random_state=0), n_features_to_select=2), iris),
    ("SelectFromModel", lambda: feature_selection.SelectFromModel(ensemble.ExtraTreesClassifier(10, random_state=0)), iris),
    ("FeatureUnion", lambda: pipeline.FeatureUnion(
        [("s", preprocessing.StandardScaler()), ("p", decomposition.PCA(2))]), iris),
    ("RandomTreesEmbedding", lambda: ensemble.RandomTreesEmbedding(5, random_state=0), iris),
]:
    add(E, name, transformer(make, xy, rtol=1e-3, atol=1e-3))


def fitted(name, make, xy, outputs, **tol):
    """Models whose outputs are what `outputs(model, rows)` says."""

    def build():
        x, y, test = split(xy())
        m = make().fit(x)
        return Case(to_onnx(m, x[:1], target_opset={"": 18, "ai.onnx.ml": 3}), {"X": test}, outputs(m, test), **tol)

    add(E, name, build)


fitted("KMeans", lambda: cluster.KMeans(4, n_init=2, random_state=0), digits, lambda m, x: [m.predict(x), m.transform(x)],
       rtol=1e-3, atol=1e-3)
fitted("MiniBatchKMeans", lambda: cluster.MiniBatchKMeans(3, n_init=2, random_state=0), iris,
       lambda m, x: [m.predict(x), m.transform(x)], rtol=1e-3, atol=1e-3)
fitted("IsolationForest", lambda: ensemble.IsolationForest(n_estimators=20, random_state=0), taxi,
       lambda m, x: [m.predict(x).reshape(-1, 1), m.decision_function(x).reshape(-1, 1)], rows=3, atol=1e-3)
fitted("LocalOutlierFactor", lambda: neighbors.LocalOutlierFactor(novelty=True), iris,
       lambda m, x: [m.predict(x).reshape(-1, 1), m.decision_function(x).reshape(-1, 1)], rows=1, rtol=1e-2, atol=1e-3)
fitted("OneClassSVM", lambda: svm.OneClassSVM(nu=0.2), iris,
       lambda m, x: [m.predict(x).reshape(-1, 1), m.decision_function(x).reshape(-1, 1)], rtol=1e-3, atol=1e-3)
fitted("EllipticEnvelope", lambda: covariance.EllipticEnvelope(random_state=0), iris,
       lambda m, x: [m.predict(x).reshape(-1, 1), m.decision_function(x).reshape(-1, 1)], rtol=1e-2, atol=1e-2)
fitted("GaussianMixture", lambda: mixture.GaussianMixture(3, random_state=0), iris,
       lambda m, x: [m.predict(x), m.predict_proba(x)], rtol=1e-3, atol=1e-3)
fitted("BayesianGaussianMixture", lambda: mixture.BayesianGaussianMixture(n_components=3, random_state=0), iris,
       lambda m, x: [m.predict(x), m.predict_proba(x)], rtol=1e-3, atol=1e-3)


@case(E)
def nearest_neighbours():
    x, _, test = split(iris())
    m = neighbors.NearestNeighbors(n_neighbors=3, radius=None).fit(x)
    d, i = m.kneighbors(test)
    return Case(to_onnx(m, x[:1]), {"X": test}, [i, d], rows=2, rtol=1e-3, atol=1e-3)


def taxi_types():
    c, _ = data.taxi()
    return [(k, StringTensorType([None, 1]) if v.dtype == object else FloatTensorType([None, 1])) for k, v in c.items()]


def taxi_case(make, y=None, **tol):
    """A ColumnTransformer pipeline on numbers and texts of taxi rides."""

    def build():
        import pandas as pd

        c, fare = data.taxi()
        frame = pd.DataFrame({k: v[:, 0] for k, v in c.items()})
        target = fare if y is None else y(fare)
        m = make().fit(frame[::2], target[::2])
        onx = to_onnx(m, initial_types=taxi_types(), target_opset={"": 18, "ai.onnx.ml": 3})
        feeds = {k: v[1::2] for k, v in c.items()}
        test = frame[1::2]
        want = [m.predict(test)]
        if hasattr(m, "predict_proba"):
            want.append([dict(zip(m.classes_, p)) for p in m.predict_proba(test)])
        return Case(onx, feeds, want, **tol)

    return build


TEXTS, NUMBERS = ["vendor_id", "rate_code", "payment_type"], ["passenger_count", "trip_time_in_secs", "trip_distance"]


def columns(encoder, rest):
    return lambda: pipeline.make_pipeline(
        compose.ColumnTransformer([("texts", encoder(), TEXTS), ("numbers", preprocessing.StandardScaler(), NUMBERS)]), rest())


add(E, "OneHotEncoder + LinearRegression", taxi_case(
    columns(lambda: preprocessing.OneHotEncoder(handle_unknown="ignore"), linear_model.LinearRegression), rtol=1e-3, atol=1e-2))
add(E, "OneHotEncoder + RandomForest", taxi_case(
    columns(lambda: preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            lambda: ensemble.RandomForestRegressor(10, random_state=0)), rtol=1e-3, atol=1e-2))
add(E, "OrdinalEncoder + HistGradientBoosting", taxi_case(
    columns(lambda: preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            lambda: ensemble.HistGradientBoostingClassifier(max_iter=10)), y=lambda f: (f > 10).astype(np.int64), rtol=1e-3))
add(E, "OneHotEncoder drop + LogisticRegression", taxi_case(
    columns(lambda: preprocessing.OneHotEncoder(drop="first", handle_unknown="ignore"), lambda: linear_model.LogisticRegression(max_iter=300)),
    y=lambda f: np.where(f > 10, "dear", "cheap"), rtol=1e-3))
add(E, "TargetEncoder + Ridge", taxi_case(
    columns(lambda: preprocessing.TargetEncoder(random_state=0), linear_model.Ridge), rtol=1e-3, atol=1e-2))


@case(E)
def label_encoder_texts():
    c, _ = data.taxi()
    words = c["vendor_id"].reshape(-1).astype(str)
    m = preprocessing.LabelEncoder().fit(words)
    onx = to_onnx(m, initial_types=[("X", StringTensorType([None, 1]))])
    return Case(onx, {"X": c["vendor_id"]}, [m.transform(words).reshape(-1, 1)])


@case(E)
def label_binarizer():
    _, y = iris()
    m = preprocessing.LabelBinarizer().fit(y)
    return Case(to_onnx(m, initial_types=[("X", Int64TensorType([None, 1]))]), {"X": y.reshape(-1, 1)}, [m.transform(y)])


@case(E)
def one_hot_integers():
    x = np.round(iris()[0]).astype(np.int64)
    m = preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(x[::2])
    return Case(to_onnx(m, x[:1]), {"X": x[1::2]}, [m.transform(x[1::2])])


@case(E)
def imputer_texts():
    c, _ = data.taxi()
    x = np.hstack([c["vendor_id"], c["payment_type"]]).astype(object)
    x[::5, 0] = ""
    m = impute.SimpleImputer(strategy="most_frequent", missing_values="").fit(x)
    onx = to_onnx(m, initial_types=[("X", StringTensorType([None, 2]))])
    return Case(onx, {"X": x}, [m.transform(x)])


@case(E)
def double_precision():
    """A model in double throughout."""
    x, y = data.taxi_numbers()
    x = x.astype(np.float64)
    m = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()).fit(x[::2], y[::2])
    return Case(to_onnx(m, x[:1]), {"X": x[1::2]}, [m.predict(x[1::2])], rtol=1e-9, atol=1e-9)


@case(E)
def gaussian_process_double():
    x, y = iris()
    x = x.astype(np.float64)
    m = gaussian_process.GaussianProcessRegressor(GP.RBF(), alpha=0.1, optimizer=None).fit(x[::2], y[::2])
    onx = to_onnx(m, x[:1], options={id(m): {"return_std": True}})
    mean, std = m.predict(x[1::2], return_std=True)
    return Case(onx, {"X": x[1::2]}, [mean, std], rtol=1e-5, atol=1e-6)


@case(E)
def zipmap_columns():
    x, y, test = split(iris())
    m = linear_model.LogisticRegression(max_iter=500).fit(x, y)
    onx = to_onnx(m, x[:1], options={id(m): {"zipmap": "columns"}})
    p = m.predict_proba(test)
    return Case(onx, {"X": test}, [m.predict(test), p[:, 0], p[:, 1], p[:, 2]], rtol=1e-3)


@case(E)
def one_row_and_none():
    """Batches of 1 and 0 rows through one dynamic-axis model."""
    x, y, test = split(iris())
    m = ensemble.RandomForestClassifier(5, random_state=0).fit(x, y)
    onx = to_onnx(m, x[:1], options={id(m): {"zipmap": False}})
    out = [(f" {n}", Case(onx, {"X": test[:n]}, [m.predict(test[:n]), m.predict_proba(test[:n])])) for n in (1, 2)]
    empty = test[:0]
    out.append((" 0", Case(onx, {"X": empty}, [np.zeros(0, np.int64), np.zeros((0, 3), np.float32)])))
    return out
