import keras
from keras import layers

encoder = keras.Sequential(
    [
        keras.Input(shape=(28, 28, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(3),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(16, 3, activation="relu"),
        layers.GlobalMaxPooling2D(),
    ],
    name="encoder",
)
decoder = keras.Sequential(
    [
        keras.Input(shape=(16,)),
        layers.Reshape((4, 4, 1)),
        layers.Conv2DTranspose(16, 3, activation="relu"),
        layers.Conv2DTranspose(32, 3, activation="relu"),
        layers.UpSampling2D(3),
        layers.Conv2DTranspose(16, 3, activation="relu"),
        layers.Conv2DTranspose(1, 3, activation="relu"),
    ],
    name="decoder",
)
model = keras.Sequential([keras.Input(shape=(28, 28, 1)), encoder, decoder])
model.compile(optimizer="adam", loss="mse")
